"""`Pricebook-Min-Version`: parsed strictly for every transport, and refused before anything is executed."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.http.errors import MinVersionInvalid
from graph.middleware.min_version import parse
from loaders import MinVersions
from tests.graph.api import Api, row
from tests.loaders.publishing import replace

VERSION = '{ snapshot(priceList: "retail") { version price(sku: "a") { amount } } }'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", MinVersions(7)),
        (" 7 ", MinVersions(7)),
        ("0", MinVersions(0)),
        ("shop=7", MinVersions(by_list={"shop": 7})),
        ("shop=7,ecb=31", MinVersions(by_list={"shop": 7, "ecb": 31})),
        ("shop = 7 ,  e.c-b_2=31", MinVersions(by_list={"shop": 7, "e.c-b_2": 31})),
    ],
)
def test_a_header_is_a_version_or_one_for_each_list(text: str, expected: MinVersions) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "-1",
        "1.0",
        "7,8",
        "7,shop=8",
        "shop=",
        "=7",
        "shop=7,",
        "shop=7;ecb=3",
        "shop=7,shop=8",
        "٣",
        "7\x1f",
        "shop=7\x1f",
    ],
)
def test_any_other_header_is_refused(text: str) -> None:
    with pytest.raises(MinVersionInvalid) as refused:
        parse(text)
    assert (refused.value.status, refused.value.code) == (400, "MIN_VERSION_INVALID")


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        versions = parse(text)
    except MinVersionInvalid:
        return
    assert versions.default >= 0
    assert all(version >= 0 for version in versions.by_list.values())


def test_a_minimum_version_of_a_list_applies_to_that_list_only() -> None:
    assert [MinVersions(by_list={"shop": 7}).minimum(name) for name in ("shop", "ecb")] == [7, 0]
    assert [MinVersions(5).minimum(name) for name in ("shop", "ecb")] == [5, 5]


async def send(api: Api, min_version: str, document: str = VERSION) -> dict[str, Any]:
    """Send a query with the header and return the JSON of the response."""
    response = await api.http.post("/graphql", json={"query": document}, headers={"Pricebook-Min-Version": min_version})
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_malformed_header_is_a_bad_request(api: Api, accept: str) -> None:
    response = await api.http.post(
        "/graphql", json={"query": VERSION}, headers={"Pricebook-Min-Version": "x", "Accept": accept}
    )
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"] == {"code": "MIN_VERSION_INVALID"}


async def test_repeated_headers_are_joined(api: Api) -> None:
    headers = [("Pricebook-Min-Version", "a=0"), ("Pricebook-Min-Version", "b=0"), ("Content-Type", "application/json")]
    assert (await api.http.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)).is_success
    headers[1] = ("Pricebook-Min-Version", "a=1")
    assert (await api.http.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)).status_code == 400


async def test_a_request_waits_until_the_version_is_published(api: Api) -> None:
    await api.create("retail")
    await api.publish("retail", [row("a", "1.00")])
    waiting = asyncio.create_task(send(api, "2"))
    named = asyncio.create_task(send(api, "retail=2"))
    assert (await send(api, "1"))["data"]["snapshot"]["version"] == 1
    assert (await send(api, "other=2"))["data"]["snapshot"]["version"] == 1
    assert not waiting.done()
    assert not named.done()
    await replace(api.runtime.store, "retail", {"a": "2.00"})  # as another process would
    for body in (await waiting, await named):
        assert body == {"data": {"snapshot": {"version": 2, "price": {"amount": "2.00"}}}}


async def test_a_version_that_is_not_published_in_time_is_an_error_that_names_the_latest_version(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.pointer_cache.MIN_VERSION_TIMEOUT_SECONDS", 0.0)
    await api.create("retail", "empty")
    await api.publish("retail", [row("a")])
    body = await send(api, "2")
    [error] = body["errors"]
    assert body["data"] == {"snapshot": None}
    assert error["extensions"] == {"code": "VERSION_NOT_REACHED"}
    assert "Version 2 of 'retail'" in error["message"]
    assert "version 1 is the latest" in error["message"]
    [error] = (await send(api, "1", '{ priceList(name: "empty") { name } }'))["errors"]
    assert "no version yet" in error["message"]


async def test_a_version_that_was_rolled_back_counts_as_published(api: Api) -> None:
    await api.create("retail")
    for amount in ("1.00", "2.00"):
        await api.publish("retail", [row("a", amount)])
    moved = await api.runtime.store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    await api.runtime.pointers.switch_to({moved.name: moved.revision})
    assert (await send(api, "2"))["data"]["snapshot"]["version"] == 1


async def test_a_numbered_version_is_not_waited_for(api: Api) -> None:
    await api.create("retail")
    await api.publish("retail", [row("a")])
    document = '{ snapshot(priceList: "retail", version: 1) { version } none: priceList(name: "nope") { name } }'
    assert (await send(api, "retail=9", document))["data"] == {"snapshot": {"version": 1}, "none": None}


async def test_without_a_change_stream_the_pointer_is_polled(api: Api) -> None:
    await api.create("retail")
    await api.publish("retail", [row("a", "1.00")])
    await api.runtime.pointers._watcher.stop()
    assert not api.runtime.pointers.alive
    waiting = asyncio.create_task(send(api, "2"))
    assert (await send(api, "1"))["data"]["snapshot"]["version"] == 1
    assert not waiting.done()
    await replace(api.runtime.store, "retail", {"a": "2.00"})
    assert (await waiting)["data"]["snapshot"]["version"] == 2
