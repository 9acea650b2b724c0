"""The names of price lists and of releases, for the completion of a shell."""

import shlex
from collections import Counter
from collections.abc import Iterator

import httpx

from cli.client import Json
from cli.client.client import http_options

REQUEST_TIMEOUT_SECONDS = 1.0
"""Timeout of each request; it ends the thread of a completion that no longer waits."""

MAX_PAGES = 10
"""Maximum number of pages of price lists."""

LISTS = """
query CompletePriceLists($after: String) {
  priceLists(first: 200, after: $after) { nodes { name description } pageInfo { hasNextPage endCursor } }
}"""

RELEASES = """
query CompleteReleases {
  releases(first: 200) { nodes { id name state } }
}"""


def list_names(endpoint: str, token: str | None) -> Iterator[tuple[str, str | None]]:
    """Yield the name and the description of each price list."""
    after: str | None = None
    with httpx.Client(timeout=REQUEST_TIMEOUT_SECONDS, **http_options(endpoint, token)) as http:
        for _ in range(MAX_PAGES):
            page = _post(http, endpoint, LISTS, {"after": after})["priceLists"]
            for each in page["nodes"]:
                yield each["name"], each["description"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]


def release_names(endpoint: str, token: str | None) -> Iterator[tuple[str, str | None]]:
    """Yield the name and the state of the newest releases.

    For a name that several of them have, or that a shell would split, the id stands, and the name with the state.
    """
    with httpx.Client(timeout=REQUEST_TIMEOUT_SECONDS, **http_options(endpoint, token)) as http:
        found = _post(http, endpoint, RELEASES, {})["releases"]["nodes"]
    names = Counter(each["name"] for each in found)
    for each in found:
        name, state = each["name"], each["state"]
        if names[name] == 1 and shlex.quote(name) == name:
            yield name, state
        else:
            yield each["id"], f"{name}, {state}"


def _post(http: httpx.Client, endpoint: str, document: str, variables: Json) -> Json:
    data: Json = http.post(endpoint, json={"query": document, "variables": variables}).json()["data"]
    return data
