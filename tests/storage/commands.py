"""A listener that records the commands of a client."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent


class Commands(CommandListener):
    """The commands that a client sends, each with its database as `$db`."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    @property
    def names(self) -> list[str]:
        """The names of the commands."""
        return [next(iter(command)) for command in self.sent]

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append({**event.command, "$db": event.database_name})

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    @contextmanager
    def counted(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the commands that are sent in the context, from its end on."""
        start, sent = len(self.sent), list[dict[str, Any]]()
        yield sent
        sent += self.sent[start:]
