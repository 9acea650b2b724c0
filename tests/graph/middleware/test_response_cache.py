"""Cacheable responses: their headers, who shares them, and that none outlives its version."""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, NoReturn

import httpx
import pytest

from graph.execution import Executable
from graph.middleware.response_cache import MAX_REQUEST_BYTES
from tests.graph.api import ROLLBACK, Api, expire_past_versions, open_settings, row, serving
from tests.waiting import until

CURRENT = 'query ($s: ID! = "a") { snapshot(priceList: "retail") { version price(sku: $s) { amount } } }'
NUMBERED = 'query ($v: Int) { snapshot(priceList: "retail", version: $v) { version price(sku: "a") { amount } } }'
GRAPHQL_RESPONSE = "application/graphql-response+json"

REVALIDATED = "public, max-age=0, must-revalidate"
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
async def shop(api: Api) -> Api:
    """An application with a list whose version 1 is current."""
    await api.create("retail", "empty")
    await api.publish("retail", [row("a", "1.00"), row("b", "2.00")])
    return api


async def post(api: Api, document: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    body = {"query": document, "variables": variables or {}}
    return await api.http.post("/graphql", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def get(api: Api, document: str, **headers: str) -> httpx.Response:
    return await api.http.get(
        "/graphql", params={"query": document}, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def cache_use(api: Api) -> tuple[int, int]:
    """The number of cached responses, and of requests that were served one."""
    return len(api.runtime.responses), api.runtime.responses.hits


async def never(*_: object) -> NoReturn:
    raise AssertionError("Unexpected execution.")


# ---------------------------------------------------------------- Cache-Control


async def test_a_response_of_the_current_version_is_revalidated(shop: Api) -> None:
    for response in (await post(shop, CURRENT), await get(shop, CURRENT)):
        assert response.headers["cache-control"] == REVALIDATED
        assert response.headers["etag"].startswith('"')
        assert response.headers["vary"] == "Accept, Authorization, Pricebook-Preview"
        assert response.json()["data"]["snapshot"] == {"version": 1, "price": {"amount": "1.00"}}


async def test_a_response_of_a_numbered_version_is_immutable(shop: Api) -> None:
    assert (await post(shop, NUMBERED, {"v": 1})).headers["cache-control"] == IMMUTABLE
    literal = '{ snapshot(priceList: "retail", version: 1) { size } }'
    assert (await post(shop, literal)).headers["cache-control"] == IMMUTABLE
    assert (await post(shop, NUMBERED, {"v": None})).headers["cache-control"] == REVALIDATED
    assert (await post(shop, NUMBERED)).headers["cache-control"] == REVALIDATED
    both = '{ a: snapshot(priceList: "retail", version: 1) { size } b: snapshot(priceList: "retail") { size } }'
    assert (await post(shop, both)).headers["cache-control"] == REVALIDATED


async def test_a_page_after_a_cursor_is_immutable(shop: Api) -> None:
    document = """query ($c: String) { snapshot(priceList: "retail") {
      prices(first: 1, after: $c) { nodes { sku } pageInfo { endCursor } } } }"""
    first = await post(shop, document)
    assert first.headers["cache-control"] == REVALIDATED
    cursor = first.json()["data"]["snapshot"]["prices"]["pageInfo"]["endCursor"]
    second = await post(shop, document, {"c": cursor})
    assert second.headers["cache-control"] == IMMUTABLE
    again = await post(shop, document, {"c": cursor}, if_none_match=second.headers["etag"])
    assert again.status_code == 304


@pytest.mark.parametrize(
    "document",
    [
        '{ snapshot(priceList: "retail") { size state } }',
        '{ snapshot(priceList: "empty") { size } }',
        '{ snapshot(priceList: "nope") { size } }',
        '{ a: snapshot(priceList: "retail") { size } b: snapshot(priceList: "nope") { size } }',
        '{ snapshot(priceList: "retail", version: 99) { size } }',
        '{ snapshot(priceList: "retail") { prices(first: 0) { totalCount } } }',
        '{ priceList(name: "retail") { currentVersion } }',
        "{ __typename }",
        "{ __schema { queryType { name } } }",
        "{ nope }",
        "{",
        'mutation { createPriceList(input: {name: "other"}) { userErrors { code } } }',
    ],
)
async def test_other_responses_are_not_stored(shop: Api, document: str) -> None:
    for _ in range(2):
        response = await post(shop, document)
        assert response.headers["cache-control"] == "no-store"
        assert "etag" not in response.headers
    assert cache_use(shop) == (0, 0)


async def test_refusals_are_not_stored(shop: Api) -> None:
    for response in (
        await shop.http.get("/graphql"),
        await shop.http.put("/graphql"),
        await get(shop, 'mutation { createPriceList(input: {name: "other"}) { userErrors { code } } }'),
        await get(shop, CURRENT, accept="image/png"),
        await shop.http.post("/graphql", content=b"{", headers={"content-type": "application/json"}),
        await shop.http.get("/graphql", headers={"accept": "text/html"}),
    ):
        assert response.headers["cache-control"] == "no-store"


async def test_max_age_and_stale_while_revalidate_are_settings(mongodb_uri: str, shop: Api) -> None:
    database = shop.runtime.store.db.name
    for seconds, header in (
        ((5, 0), "max-age=5, must-revalidate"),
        ((5, 60), "max-age=5, stale-while-revalidate=60"),
    ):
        settings = open_settings(
            mongodb_uri=mongodb_uri,
            mongodb_database=database,
            cache_max_age=seconds[0],
            cache_stale_while_revalidate=seconds[1],
        )
        async with serving(settings) as api:
            assert (await post(api, CURRENT)).headers["cache-control"] == f"public, {header}"
            assert (await post(api, NUMBERED, {"v": 1})).headers["cache-control"] == IMMUTABLE


# ---------------------------------------------------------------- ETag and If-None-Match


async def test_a_matching_etag_gets_304_without_executing(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [partial(post, shop, CURRENT), partial(get, shop, CURRENT), partial(post, shop, NUMBERED, {"v": 1})]
    first = [await request() for request in requests]
    shop.runtime.responses._entries.clear()
    monkeypatch.setattr(Executable, "execute", never)
    for request, response in zip(requests, first, strict=True):
        etag = response.headers["etag"]
        for condition in (etag, f"W/{etag}", f'"other", {etag}'):
            again = await request(if_none_match=condition)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == etag
            assert again.headers["cache-control"] == response.headers["cache-control"]
            assert again.headers["vary"] == response.headers["vary"]


async def test_a_matching_etag_is_served_from_the_cache(shop: Api) -> None:
    etag = (await post(shop, CURRENT)).headers["etag"]
    for condition in (etag, f'W/{etag}, "other"', "*"):
        again = await post(shop, CURRENT, if_none_match=condition)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["cache-control"] == REVALIDATED
    assert (await post(shop, CURRENT, if_none_match='"other"')).status_code == 200
    assert cache_use(shop) == (1, 4)


async def test_if_none_match_any_matches_existing_versions(shop: Api) -> None:
    assert (await post(shop, CURRENT, if_none_match="*")).status_code == 304
    for document in ('{ snapshot(priceList: "nope") { size } }', '{ snapshot(priceList: "empty") { size } }'):
        assert (await post(shop, document, if_none_match="*")).status_code == 200


async def test_get_and_post_share_etags_but_not_cache_entries(shop: Api) -> None:
    body = json.dumps({"query": CURRENT})
    posted = await shop.http.post("/graphql", content=body, headers={"content-type": "application/json"})
    sent = await get(shop, CURRENT)
    assert posted.headers["etag"] == sent.headers["etag"]
    assert cache_use(shop) == (2, 0)
    # The query string of one request is the body of another.
    query = sent.request.url.query
    as_body = await shop.http.post("/graphql", content=query, headers={"content-type": "application/json"})
    assert as_body.status_code == 400


async def test_media_types_do_not_collide(shop: Api) -> None:
    json_, response = [await post(shop, CURRENT, accept=accept) for accept in ("application/json", GRAPHQL_RESPONSE)]
    assert json_.headers["etag"] != response.headers["etag"]
    for accept in ("application/json", GRAPHQL_RESPONSE):
        again = await post(shop, CURRENT, accept=accept)
        assert again.headers["content-type"] == f"{accept}; charset=utf-8"
    assert cache_use(shop) == (2, 2)


async def test_other_variables_have_another_etag(shop: Api) -> None:
    a, b = await post(shop, CURRENT, {"s": "a"}), await post(shop, CURRENT, {"s": "b"})
    assert a.headers["etag"] != b.headers["etag"]
    assert (await post(shop, CURRENT, {"s": "b"}, if_none_match=a.headers["etag"])).status_code == 200


async def test_a_mutation_is_executed_whatever_if_none_match_says(shop: Api) -> None:
    document = 'mutation { createPriceList(input: {name: "new"}) { priceList { name } userErrors { code } } }'
    response = await post(shop, document, if_none_match="*")
    assert response.json()["data"]["createPriceList"]["priceList"] == {"name": "new"}


# ---------------------------------------------------------------- the cache of the process


async def test_a_repeated_request_is_served_from_the_cache(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [await post(shop, CURRENT), await get(shop, CURRENT)]
    monkeypatch.setattr(Executable, "execute", never)
    second = [await post(shop, CURRENT), await get(shop, CURRENT)]
    for before, after in zip(first, second, strict=True):
        assert (before.status_code, before.content) == (after.status_code, after.content)
        assert before.headers.pop("x-request-id")
        assert dict(before.headers) == dict(after.headers)  # without an id, because nothing is logged
    assert cache_use(shop) == (2, 2)


async def test_a_publish_invalidates_responses_at_once(shop: Api) -> None:
    old = await post(shop, CURRENT)
    await shop.publish("retail", [row("a", "5.00")])
    new = await post(shop, CURRENT, if_none_match=old.headers["etag"])
    assert (new.status_code, new.json()["data"]["snapshot"]) == (200, {"version": 2, "price": {"amount": "5.00"}})
    assert new.headers["etag"] != old.headers["etag"]
    await shop.data(ROLLBACK, input={"priceList": "retail", "toVersion": 1, "reason": "test"})
    back = await post(shop, CURRENT)
    assert (back.content, back.headers["etag"]) == (old.content, old.headers["etag"])


async def test_a_response_of_two_lists_is_invalidated_by_either(shop: Api) -> None:
    await shop.publish("empty", [row("a", "1.00")])
    document = '{ a: snapshot(priceList: "retail") { version } b: snapshot(priceList: "empty") { version } }'
    assert (await post(shop, document)).json()["data"] == {"a": {"version": 1}, "b": {"version": 1}}
    await shop.publish("empty", [row("a", "2.00")])
    assert (await post(shop, document)).json()["data"] == {"a": {"version": 1}, "b": {"version": 2}}
    await shop.publish("retail", [row("a", "2.00")])
    assert (await post(shop, document)).json()["data"] == {"a": {"version": 2}, "b": {"version": 2}}


async def test_an_etag_depends_on_which_version_is_current(shop: Api) -> None:
    await shop.publish("retail", [row("a", "2.00")])
    document = """{ now: snapshot(priceList: "retail") { version }
      one: snapshot(priceList: "retail", version: 1) { size }
      two: snapshot(priceList: "retail", version: 2) { size } }"""
    second = await post(shop, document)
    await shop.data(ROLLBACK, input={"priceList": "retail", "toVersion": 1, "reason": "test"})
    first = await post(shop, document, if_none_match=second.headers["etag"])
    assert first.json()["data"]["now"] == {"version": 1}


async def test_a_response_of_a_numbered_version_is_the_same_after_a_publish(shop: Api) -> None:
    first = await post(shop, NUMBERED, {"v": 1})
    await post(shop, NUMBERED, {"v": 1})
    assert cache_use(shop) == (1, 1)
    await shop.publish("retail", [row("a", "5.00")])
    again = await post(shop, NUMBERED, {"v": 1})
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])


async def test_an_expired_version_is_not_served_from_the_cache(shop: Api) -> None:
    await shop.publish("retail", [row("a", "7.00")])
    assert (await post(shop, NUMBERED, {"v": 1})).headers["cache-control"] == IMMUTABLE
    await expire_past_versions(shop.runtime.store)

    async def is_gone() -> bool:
        response = (await post(shop, NUMBERED, {"v": 1})).json()
        return [error["extensions"]["code"] for error in response.get("errors", [])] == ["SNAPSHOT_EXPIRED"]

    await until(is_gone, "gone", seconds=5)


async def test_the_cache_is_not_used_without_a_change_stream(shop: Api) -> None:
    await post(shop, CURRENT)
    shop.runtime.pointers._watcher._opened.clear()
    assert (await post(shop, CURRENT)).status_code == 200
    assert cache_use(shop)[1] == 0


async def test_a_request_with_a_minimum_version_bypasses_the_cache(shop: Api) -> None:
    etag = (await post(shop, CURRENT)).headers["etag"]
    assert (await post(shop, CURRENT, pricebook_min_version="1")).headers["etag"] == etag
    assert cache_use(shop) == (1, 0)


async def test_a_request_with_a_minimum_version_does_not_get_304_for_an_older_one(
    shop: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.pointer_cache.MIN_VERSION_TIMEOUT_SECONDS", 0.01)
    etag = (await post(shop, CURRENT)).headers["etag"]
    response = await post(shop, CURRENT, if_none_match=etag, pricebook_min_version="2")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert response.json()["errors"][0]["extensions"]["code"] == "VERSION_NOT_REACHED"


async def test_a_long_request_bypasses_the_cache(shop: Api) -> None:
    long = f"{CURRENT} #{'x' * MAX_REQUEST_BYTES}"
    for _ in range(2):
        assert (await post(shop, long)).headers["cache-control"] == REVALIDATED
        assert (await get(shop, long)).headers["cache-control"] == REVALIDATED
    assert cache_use(shop) == (0, 0)


@pytest.mark.parametrize("size", [15, 60])
async def test_a_body_in_several_messages_is_joined(shop: Api, size: int) -> None:
    async def query(sku: str) -> dict[str, str] | None:
        body = json.dumps({"query": CURRENT, "variables": {"s": sku}}).encode()

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(body), size):
                yield body[start : start + size]

        headers = {"content-type": "application/json", "content-length": str(len(body))}
        response = await shop.http.post("/graphql", content=chunks(), headers=headers)
        price: dict[str, str] | None = response.json()["data"]["snapshot"]["price"]
        return price

    for _ in range(2):
        assert [await query(sku) for sku in "abc"] == [{"amount": "1.00"}, {"amount": "2.00"}, None]
    assert cache_use(shop) == ((3, 3) if size == 60 else (0, 0))


async def test_the_memory_of_the_cache_is_bounded(mongodb_uri: str, shop: Api) -> None:
    settings = open_settings(
        mongodb_uri=mongodb_uri, mongodb_database=shop.runtime.store.db.name, response_cache_bytes=32 << 10
    )
    async with serving(settings) as api:
        for n in range(60):
            await post(api, CURRENT, {"s": f"{n}"})
        responses = api.runtime.responses
        assert 0 < responses.bytes <= 32 << 10
        assert responses.evictions == 60 - len(responses) > 0


async def test_the_cache_can_be_switched_off(mongodb_uri: str, shop: Api) -> None:
    settings = open_settings(
        mongodb_uri=mongodb_uri, mongodb_database=shop.runtime.store.db.name, response_cache_bytes=0
    )
    async with serving(settings) as api:
        for _ in range(2):
            assert (await post(api, CURRENT)).headers["cache-control"] == REVALIDATED
        assert cache_use(api) == (0, 0)


# ---------------------------------------------------------------- callers


async def key(api: Api, *grants: str) -> str:
    """The credentials of a new API key with these grants."""
    _, made = await api.runtime.store.api_keys.create("ada", grants, "ops")
    return f"Bearer {made}"


async def test_callers_with_different_read_access_share_neither_responses_nor_etags(shop: Api) -> None:
    granted = [await key(shop, "prices:read"), await key(shop, "prices:read:retail"), await key(shop, "prices:read:r*")]
    callers: list[dict[str, str]] = [{}, *({"authorization": each} for each in granted)]
    responses = [await post(shop, CURRENT, None, **caller) for caller in callers]
    assert cache_use(shop) == (4, 0)
    etags = [response.headers["etag"] for response in responses]
    assert len(set(etags)) == 4
    for caller, own in zip(callers, etags, strict=True):
        for cached in (True, False):
            if not cached:
                shop.runtime.responses._entries.clear()
            for etag in etags:
                response = await post(shop, CURRENT, None, **caller, if_none_match=etag)
                assert response.status_code == (304 if etag == own else 200)
                assert response.headers["etag"] == own


async def test_callers_with_the_same_read_access_share_responses(shop: Api) -> None:
    for _ in range(2):
        await post(shop, CURRENT, authorization=await key(shop, "prices:read:retail"))
    assert cache_use(shop) == (1, 1)


async def test_responses_to_identified_callers_are_private(shop: Api) -> None:
    ada = await key(shop, "prices:read")
    for send in (post, get):
        for _ in range(2):
            response = await send(shop, CURRENT, authorization=ada)
            assert response.headers["cache-control"] == "private, max-age=0, must-revalidate"
    response = await post(shop, NUMBERED, {"v": 1}, authorization=ada)
    assert response.headers["cache-control"] == "private, max-age=31536000, immutable"
