"""The completion of the names of price lists: a shell asks the endpoint, and shows none if it does not respond."""

import os
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

import click
from click.shell_completion import CompletionItem

from cli.endpoint import DEFAULT_ENDPOINT, Endpoint

TIMEOUT_SECONDS = 1.0
"""How long a shell waits for the names at most."""

MAX_PAGES = 10
"""Number of pages of price lists that are asked for at most."""

NAMES = """
query CompletePriceLists($after: String) {
  priceLists(first: 200, after: $after) { nodes { name description } pageInfo { hasNextPage endCursor } }
}"""


def complete_list_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the price lists that begin with what was typed; none if the command connects to MongoDB (`--direct`)."""
    import httpx  # noqa: F401, PLC0415 - only a shell that asks for names waits for it, and that is not limited

    found: list[CompletionItem] = []
    if not context.params.get("direct"):
        # A daemon: a resolver that does not respond keeps neither the shell nor the exit of this process waiting.
        asking = Thread(target=_ask, args=(context.params, found), daemon=True)
        asking.start()
        asking.join(TIMEOUT_SECONDS)
    return [each for each in found if each.value.startswith(incomplete)]


def _ask(params: dict[str, object], found: list[CompletionItem]) -> None:
    with suppress(Exception):  # it would be shown within the line that is being typed
        endpoint, token = params.get("endpoint"), params.get("token")
        if not isinstance(endpoint, str):  # a command without these options
            endpoint = Endpoint().convert(os.environ.get("PRICEBOOK_ENDPOINT", DEFAULT_ENDPOINT), None, None)
            token = os.environ.get("PRICEBOOK_TOKEN")
        found.extend(_items(endpoint, str(token) if token else None))


def _items(endpoint: str, token: str | None) -> Iterator[CompletionItem]:
    import httpx  # noqa: PLC0415 - see above

    from cli.client.client import http_options  # noqa: PLC0415 - it imports asyncio

    after: str | None = None
    with httpx.Client(timeout=TIMEOUT_SECONDS, **http_options(endpoint, token)) as http:
        for _ in range(MAX_PAGES):
            response = http.post(endpoint, json={"query": NAMES, "variables": {"after": after}})
            page = response.json()["data"]["priceLists"]
            for each in page["nodes"]:
                yield CompletionItem(each["name"], help=each["description"])
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]
