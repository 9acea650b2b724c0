"""Operations that are followed, over server-sent events and WebSockets: how many at once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from graph.limits.limits import OverLimit

DEFAULT_MAX_SUBSCRIPTIONS = 1000
"""So many are followed in one process."""

MAX_SUBSCRIPTIONS_PER_CALLER = 100
"""So many are one caller's at most, that nobody takes the room of all others."""


class Subscriptions:
    """The operations that are followed in this process."""

    def __init__(self, most: int = DEFAULT_MAX_SUBSCRIPTIONS, most_of_each: int = MAX_SUBSCRIPTIONS_PER_CALLER) -> None:
        self._most = most
        self._most_of_each = most_of_each
        self._followed: Counter[str] = Counter()

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Take room for an operation of a caller while it is followed. Raises `OverLimit`."""
        of_all = self._followed.total()
        if of_all >= self._most:
            raise _too_many(f"Here {of_all} operations are followed, and {self._most} are allowed.")
        of_caller = self._followed[caller]
        if of_caller >= self._most_of_each:
            raise _too_many(f"You follow {of_caller} operations here, and {self._most_of_each} are allowed.")
        self._followed[caller] += 1
        try:
            yield
        finally:
            self._followed[caller] -= 1
            self._followed += Counter()  # forgets those who follow nothing any more


def _too_many(message: str) -> OverLimit:
    return OverLimit("TOO_MANY_SUBSCRIPTIONS", f"{message} End some, or try again later.", status=429)
