"""The completion of the names of lists and releases: a shell asks the endpoint, and shows none without a response."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import click
from click.shell_completion import CompletionItem

from cli.endpoint import DEFAULT_ENDPOINT, Endpoint
from cli.output import text

TIMEOUT_SECONDS = 1.0
"""Longest time that a shell waits for the names."""

THREAD_NAME = "completion"
"""Name of the thread that asks the endpoint."""

Names = Callable[[str, str | None], Iterator[tuple[str, str | None]]]
"""Yields names, each with a description, for an endpoint and a token."""


def complete_list_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the price lists that begin with what was typed; none if the command connects to MongoDB (`--direct`)."""
    # Imported here so that its import time does not count against the timeout.
    from cli.client.names import list_names  # noqa: PLC0415

    return _complete(list_names, context, incomplete)


def complete_releases(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the releases whose name or id begins with what was typed; the rest is as in `complete_list_names`."""
    from cli.client.names import release_names  # noqa: PLC0415 - see above

    return _complete(release_names, context, incomplete)


def _complete(names: Names, context: click.Context, incomplete: str) -> list[CompletionItem]:
    found: list[CompletionItem] = []
    if not context.params.get("direct"):
        # A daemon: a resolver that does not respond keeps neither the shell nor the exit of this process waiting.
        asking = Thread(target=_ask, name=THREAD_NAME, args=(names, context.params, found), daemon=True)
        asking.start()
        asking.join(TIMEOUT_SECONDS)
    return [each for each in found if each.value.startswith(incomplete)]


def _ask(names: Names, params: dict[str, object], found: list[CompletionItem]) -> None:
    with suppress(Exception):  # it would be shown within the line that is being typed
        endpoint, token = params.get("endpoint"), params.get("token")
        if not isinstance(endpoint, str):  # a command without these options
            endpoint = Endpoint().convert(os.environ.get("PRICEBOOK_ENDPOINT", DEFAULT_ENDPOINT), None, None)
            token = os.environ.get("PRICEBOOK_TOKEN")
        # The script of zsh reads names and descriptions line by line.
        described = names(endpoint, str(token) if token else None)
        found.extend(CompletionItem(name, help=description and text(description)) for name, description in described)
