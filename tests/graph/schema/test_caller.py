"""`caller` says what its sender may do, to each one for itself: no cache keeps it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from graph.settings import Settings
from tests.databases import Databases
from tests.graph.api import Api, row, serving
from tests.graph.transports import answer

CALLER = "{ caller { name grants { scope priceList priceListPrefix } } }"
WITH_A_PRICE = '{ snapshot(priceList: "public-shop") { size } caller { name } }'

SCOPES = ("PRICES_READ", "BATCHES_WRITE", "SNAPSHOTS_OPERATE", "ADMIN")


def grant(scope: str, price_list: str | None = None, prefix: str | None = None) -> dict[str, str | None]:
    return {"scope": scope, "priceList": price_list, "priceListPrefix": prefix}


@pytest.fixture
async def api(mongodb_uri: str, databases: Databases) -> AsyncIterator[Api]:
    """A server whose anonymous callers may read `public-*`."""
    async with databases.empty() as name:
        settings = Settings(mongodb_uri=mongodb_uri, mongodb_database=name, anonymous="prices:read:public-*")
        async with serving(settings) as api:
            yield api


async def send(api: Api, document: str, key: str | None, method: str = "POST", **headers: str) -> httpx.Response:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers |= {"authorization": f"Bearer {key}"} if key else {}
    if method == "GET":
        return await api.http.get("/graphql", params={"query": document}, headers=headers)
    return await api.http.post("/graphql", json={"query": document}, headers=headers)


async def key_of(api: Api, name: str, *grants: str) -> str:
    return (await api.runtime.store.api_keys.create(name, grants, "ops"))[1]


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        (["admin"], [grant(scope) for scope in SCOPES]),
        (["batches:write:shop"], [grant("PRICES_READ", "shop"), grant("BATCHES_WRITE", "shop")]),
        (
            ["prices:read", "snapshots:operate:eu-*", "snapshots:operate:us"],
            [
                grant("PRICES_READ"),
                grant("SNAPSHOTS_OPERATE", "us"),
                grant("SNAPSHOTS_OPERATE", prefix="eu-"),
            ],
        ),
    ],
)
async def test_a_caller_sees_its_name_and_what_its_scopes_include(
    api: Api, grants: Sequence[str], expected: list[dict[str, str | None]]
) -> None:
    key = await key_of(api, "ada", *grants)
    for transport in ("json", "events", "websocket"):
        answered = await answer(api.app, transport, {"query": CALLER}, key)
        assert answered.data == {"caller": {"name": "ada", "grants": expected}}


async def test_without_credentials_a_caller_is_anonymous(api: Api) -> None:
    found = (await send(api, CALLER, None)).json()["data"]["caller"]
    assert found == {"name": "anonymous", "grants": [grant("PRICES_READ", prefix="public-")]}


@pytest.mark.parametrize("document", [CALLER, WITH_A_PRICE])
async def test_no_cache_keeps_it_and_no_other_caller_gets_it(api: Api, document: str) -> None:
    admin = await key_of(api, "root", "admin")
    api.http.headers["authorization"] = f"Bearer {admin}"
    await api.create("public-shop")
    await api.publish("public-shop", [row("a")])
    del api.http.headers["authorization"]
    callers: dict[str, str | None] = {"ada": await key_of(api, "ada", "prices:read")}
    callers |= {"bob": await key_of(api, "bob", "prices:read"), "anonymous": None}
    for method in ("POST", "GET", "POST", "GET"):
        for name, key in callers.items():
            response = await send(api, document, key, method, if_none_match="*")
            data: dict[str, Any] = response.json()["data"]
            assert (response.status_code, data["caller"]["name"]) == (200, name)
            assert response.headers["cache-control"] == "private, no-store"
            assert "etag" not in response.headers
    assert (len(api.runtime.responses), api.runtime.responses.hits) == (0, 0)
