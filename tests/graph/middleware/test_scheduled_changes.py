"""No cache keeps a response of the current version beyond the instant at which a scheduled batch changes it."""

import datetime
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from storage.mongodb.transaction import instant
from tests.databases import Databases
from tests.graph.api import Api, open_settings, row, serving
from tests.waiting import until

CURRENT = '{ snapshot(priceList: "shop") { version price(sku: "a") { amount } } }'
NUMBERED = '{ snapshot(priceList: "shop", version: 1) { version } }'
OTHER = '{ snapshot(priceList: "other") { version } }'
BOTH = '{ other: snapshot(priceList: "other") { version } shop: snapshot(priceList: "shop") { version } }'
FRESH = "public, max-age=60, stale-while-revalidate=30"
DUE = "public, max-age=0, must-revalidate"


@pytest.fixture(params=[0, 1 << 20], ids=["without response cache", "with response cache"])
async def shop(request: pytest.FixtureRequest, mongodb_uri: str, databases: Databases) -> AsyncIterator[Api]:
    """An application whose responses caches may keep for a minute, with the lists `shop` and `other`."""
    async with databases.empty() as name:
        settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=name)
        settings = replace(
            settings, cache_max_age=60, cache_stale_while_revalidate=30, response_cache_bytes=request.param
        )
        async with serving(settings) as api:
            await api.create("shop", "other")
            for price_list in ("shop", "other"):
                await api.publish(price_list, [row("a", "1.00")])
            yield api


async def schedule(api: Api, seconds: float) -> None:
    """Schedule a batch of `shop`, and wait until the process knows of it and of the time."""
    publish_at = instant() + datetime.timedelta(seconds=seconds)
    payload = await api.submit("shop", [row("a", "2.00")], publishAt=publish_at.isoformat())
    assert payload["batch"]["state"] == "HELD", payload

    async def is_known() -> bool:
        pointers = api.runtime.pointers
        pointer = pointers.known("shop")
        return pointer is not None and pointer.next_change_at is not None and pointers.clock._offset is not None

    await until(is_known, "known")


async def get(api: Api, document: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.http.get("/graphql", params={"query": document}, headers=named)


def reach(response: httpx.Response) -> int:
    return sum(map(int, re.findall(r"=(\d+)", response.headers["cache-control"])))


async def test_a_response_is_kept_up_to_the_change(shop: Api) -> None:
    assert (await get(shop, CURRENT)).headers["cache-control"] == FRESH
    await schedule(shop, 40)
    for document in (CURRENT, BOTH, CURRENT, BOTH):
        response = await get(shop, document)
        assert 5 < reach(response) <= 39
        confirmed = await get(shop, document, if_none_match=response.headers["etag"])
        assert (confirmed.status_code, 5 < reach(confirmed) <= 39) == (304, True)


async def test_what_is_not_scheduled_to_change_is_kept_as_before(shop: Api) -> None:
    await schedule(shop, 40)
    assert (await get(shop, OTHER)).headers["cache-control"] == FRESH
    assert "immutable" in (await get(shop, NUMBERED)).headers["cache-control"]


async def test_a_change_that_is_far_ahead_shortens_nothing(shop: Api) -> None:
    await schedule(shop, 600)
    assert (await get(shop, CURRENT)).headers["cache-control"] == FRESH


async def test_once_it_is_due_nothing_is_kept_or_confirmed_until_the_version_changes(
    shop: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = shop.runtime.pointers.clock
    before = await get(shop, CURRENT)
    await schedule(shop, 40)
    await get(shop, CURRENT)
    monkeypatch.setattr(clock, "sample", never_again)
    for ahead in (38.5, 50.0):
        assert clock._offset is not None
        monkeypatch.setattr(clock, "_offset", clock._offset + ahead)
        clear_renewals(shop)
        response = await get(shop, CURRENT, if_none_match=before.headers["etag"])
        assert (response.status_code, response.headers["cache-control"]) == (200, DUE)
        assert response.json()["data"]["snapshot"]["version"] == 1


async def never_again() -> None:
    """Keep the clock as the test has set it."""


def clear_renewals(api: Api) -> None:
    """Let the entries of the response cache be as old as the clock that the test has set."""
    cache: Any = api.runtime.responses
    for key in list(cache._entries):
        cache._entries.peek(key).renew_at = 0.0


async def test_after_the_change_responses_are_kept_as_before(shop: Api) -> None:
    old = await get(shop, CURRENT)
    await schedule(shop, 2)

    async def has_changed() -> bool:
        response = await get(shop, CURRENT, if_none_match=old.headers["etag"])
        version = response.json()["data"]["snapshot"]["version"] if response.status_code == 200 else 1
        assert version == 2 or reach(response) <= 1
        return version == 2

    await until(has_changed, "published")
    assert (await get(shop, CURRENT)).headers["cache-control"] == FRESH
