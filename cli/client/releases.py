"""A release is named by its id, or by its name while one release alone has it."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from cli.client import Json
from cli.client.errors import ApiError
from cli.output import printable, time

if TYPE_CHECKING:  # imported when a command connects: --help does not wait for it
    from cli.client.client import ApiClient

UNFINISHED = ("OPEN", "SCHEDULED")
"""The states of releases that take batches and can be published."""

PAGE_SIZE = 200
"""Number of releases in one request."""

MAX_SEARCHED = 2000
"""Number of the newest releases of a state, or of all states, among which a name is searched."""

MAX_CANDIDATES = 10
"""Number of releases with one name that an error lists."""

BY_ID = """
query ReleaseById($id: ID!) {
  release(id: $id) { id }
}"""

BY_NAME = """
query ReleasesByName($state: ReleaseState, $first: Int!, $after: String) {
  releases(state: $state, first: $first, after: $after) {
    nodes { id name state createdBy createdAt }
    pageInfo { hasNextPage endCursor }
  }
}"""


async def find_release_id(client: "ApiClient", name_or_id: str, *, unfinished: bool) -> str:
    """Return the id of the release that has this id, or alone has this name; if `unfinished`, among unfinished ones.

    Raises `ApiError` if there is none, or several have the name.
    """
    if (await client.execute(BY_ID, {"id": name_or_id}))["release"]:
        return name_or_id
    states = UNFINISHED if unfinished else (None,)
    named = [each for state in states async for each in _newest(client, state) if each["name"] == name_or_id]
    if len(named) == 1:
        return str(named[0]["id"])
    name = printable(name_or_id)
    if not named:
        kind = "open or scheduled release" if unfinished else "release"
        raise ApiError(f"There is no {kind} {name!r}. `pricebook releases` shows the releases, the newest first.")
    raise ApiError("\n".join([f"Several releases have the name {name!r}: give the ID of one.", *_candidates(named)]))


async def _newest(client: "ApiClient", state: str | None) -> AsyncIterator[Json]:
    after: str | None = None
    for _ in range(MAX_SEARCHED // PAGE_SIZE):
        page = (await client.execute(BY_NAME, {"state": state, "first": PAGE_SIZE, "after": after}))["releases"]
        for release in page["nodes"]:
            yield release
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def _candidates(named: list[Json]) -> list[str]:
    lines = [
        f"  {each['id']}  {each['state']}, created {time(each['createdAt'])} by {printable(each['createdBy'])}"
        for each in named[:MAX_CANDIDATES]
    ]
    more = len(named) - MAX_CANDIDATES
    return [*lines, f"  and {more:,} more"] if more > 0 else lines
