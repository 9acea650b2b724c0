"""Documents of releases for tests of the API, and clients with other scopes."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.graph.api import Api, Client, row

RELEASE = """id name state publishAt publishedAt createdBy
  items { priceList { name currentVersion } batch { id state version } fromVersion toVersion }"""

FIND = f"query ($id: ID!) {{ release(id: $id) {{ {RELEASE} }} }}"

INPUTS = {"rollbackRelease": "ReviewReleaseInput", "discardRelease": "ReviewReleaseInput"}
"""The types of inputs that are not called as their mutation."""


def mutation(name: str) -> str:
    """Return the document of a mutation of a release."""
    input_type = INPUTS.get(name, f"{name[0].upper()}{name[1:]}Input")
    return (
        f"mutation ($input: {input_type}!) {{ {name}(input: $input) "
        f"{{ release {{ {RELEASE} }} userErrors {{ code message path }} }} }}"
    )


async def change(client: Client, name: str, /, **fields: Any) -> dict[str, Any]:
    """Send a mutation of a release and return its payload."""
    payload: dict[str, Any] = (await client.data(mutation(name), input=fields))[name]
    return payload


async def create(client: Client, name: str = "spring", **fields: Any) -> str:
    """Create a release and return its id."""
    payload = await change(client, "createRelease", name=name, idempotencyKey=secrets.token_hex(8), **fields)
    assert payload["userErrors"] == [], payload
    release_id: str = payload["release"]["id"]
    return release_id


async def send(client: Client, price_list: str, release: str, amount: str = "9", **more: Any) -> dict[str, Any]:
    """Send a batch of one price into a release; return its payload."""
    return await client.submit(price_list, [row("a", amount)], release=release, **more)


async def find(client: Client, release: str) -> dict[str, Any] | None:
    """Return a release, or None."""
    found: dict[str, Any] | None = (await client.data(FIND, id=release))["release"]
    return found


def names(release: dict[str, Any] | None) -> list[str]:
    """Return the names of the lists of a release that the caller sees."""
    assert release is not None
    return [item["priceList"]["name"] for item in release["items"]]


@asynccontextmanager
async def client(api: Api, grants: Sequence[str]) -> AsyncIterator[Client]:
    """Yield a client of the application that has these grants alone."""
    _, key = await api.runtime.store.api_keys.create("ada", grants, "ops")
    headers = {"authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(api.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as http:
        yield Client(http)
