"""The names of price lists, for the completion of a shell."""

from collections.abc import Iterator

import httpx

from cli.client.client import http_options

REQUEST_TIMEOUT_SECONDS = 1.0
"""Timeout of each request; it ends the thread of a completion that no longer waits."""

MAX_PAGES = 10
"""Maximum number of pages of price lists."""

NAMES = """
query CompletePriceLists($after: String) {
  priceLists(first: 200, after: $after) { nodes { name description } pageInfo { hasNextPage endCursor } }
}"""


def list_names(endpoint: str, token: str | None) -> Iterator[tuple[str, str | None]]:
    """Yield the name and the description of each price list."""
    after: str | None = None
    with httpx.Client(timeout=REQUEST_TIMEOUT_SECONDS, **http_options(endpoint, token)) as http:
        for _ in range(MAX_PAGES):
            response = http.post(endpoint, json={"query": NAMES, "variables": {"after": after}})
            page = response.json()["data"]["priceLists"]
            for each in page["nodes"]:
                yield each["name"], each["description"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]
