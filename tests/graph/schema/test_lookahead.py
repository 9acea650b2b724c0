"""A walk stays on its version: a snapshot is that which the cursors below it name, however they are written."""

from typing import Any

import pytest

from tests.graph.api import Api, row

FIRST_PAGE = """{ snapshot(priceList: "retail") {
  version prices(first: 2) { nodes { sku amount } pageInfo { startCursor endCursor } }
} }"""


@pytest.fixture
async def cursor(api: Api) -> str:
    """A list `retail` whose version 2 is current, and a cursor after the second price of version 1."""
    await api.create("retail")
    await api.publish("retail", [row(sku, "1.00") for sku in "abcd"])
    page = (await api.data(FIRST_PAGE))["snapshot"]["prices"]
    await api.publish("retail", [row(sku, "2.00") for sku in "abcd"])
    end: str = page["pageInfo"]["endCursor"]
    return end


async def current_cursor(api: Api) -> str:
    end: str = (await api.data(FIRST_PAGE))["snapshot"]["prices"]["pageInfo"]["endCursor"]
    return end


NEXT_PAGE = {"version": 1, "prices": {"nodes": [{"sku": "c", "amount": "1.00"}, {"sku": "d", "amount": "1.00"}]}}


WALKS = {
    "literal": '{ snapshot(priceList: "retail") { version prices(after: "CURSOR") { nodes { sku amount } } } }',
    "variable": """query ($c: String) {
      snapshot(priceList: "retail") { version prices(after: $c) { nodes { sku amount } } }
    }""",
    "default": """query ($d: String = "CURSOR") {
      snapshot(priceList: "retail") { version prices(after: $d) { nodes { sku amount } } }
    }""",
    "fragment": """query ($c: String) { snapshot(priceList: "retail") { version ...Page } }
      fragment Page on Snapshot { prices(after: $c) { nodes { sku amount } } }""",
    "inline fragment": """query ($c: String) {
      snapshot(priceList: "retail") { version ... on Snapshot { prices(after: $c) { nodes { sku amount } } } }
    }""",
    "merged fields": """query ($c: String) {
      snapshot(priceList: "retail") { version }
      snapshot(priceList: "retail") { ... { prices(after: $c) { nodes { sku amount } } } }
    }""",
}


async def test_a_walk_keeps_its_version_however_the_cursor_is_written(api: Api, cursor: str) -> None:
    for written, document in WALKS.items():
        data = await api.data(document.replace("CURSOR", cursor), **{"c": cursor} if "$c" in document else {})
        assert data["snapshot"] == NEXT_PAGE, written


async def test_a_walk_keeps_its_version_backward(api: Api, cursor: str) -> None:
    document = """query ($c: String) { snapshot(priceList: "retail") {
      version prices(last: 5, before: $c) { nodes { sku amount } }
    } }"""
    assert (await api.data(document, c=cursor))["snapshot"] == {
        "version": 1,
        "prices": {"nodes": [{"sku": "a", "amount": "1.00"}]},
    }


async def test_everything_else_under_the_snapshot_is_of_that_version_too(api: Api, cursor: str) -> None:
    document = """query ($c: String) { snapshot(priceList: "retail") {
      page: prices(after: $c) { totalCount } price(sku: "a") { amount } first: prices(first: 1) { nodes { amount } }
    } }"""
    assert (await api.data(document, c=cursor))["snapshot"] == {
        "page": {"totalCount": 4},
        "price": {"amount": "1.00"},
        "first": {"nodes": [{"amount": "1.00"}]},
    }


async def test_a_snapshot_beside_it_stays_the_current_one(api: Api, cursor: str) -> None:
    document = """query ($c: String) {
      walk: snapshot(priceList: "retail") { version prices(after: $c) { nodes { sku } } }
      now: snapshot(priceList: "retail") { version prices { nodes { sku } } }
    }"""
    data = await api.data(document, c=cursor)
    assert (data["walk"]["version"], data["now"]["version"]) == (1, 2)


async def test_no_cursor_is_the_current_version(api: Api, cursor: str) -> None:
    document = """query ($c: String) { snapshot(priceList: "retail") { version prices(after: $c) { totalCount } } }"""
    for variables in ({}, {"c": None}):
        assert (await api.data(document, **variables))["snapshot"]["version"] == 2


async def refusal(api: Api, document: str, **variables: Any) -> str:
    [error] = (await api.answer(document, **variables))["errors"]
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    message: str = error["message"]
    return message


async def test_cursors_of_two_versions_below_one_snapshot_are_refused(api: Api, cursor: str) -> None:
    document = """query ($c: String, $d: String) { snapshot(priceList: "retail") {
      old: prices(after: $c) { totalCount } new: prices(after: $d) { totalCount }
    } }"""
    assert "1, 2" in await refusal(api, document, c=cursor, d=await current_cursor(api))


async def test_a_version_that_is_asked_for_is_not_mixed_with_that_of_a_cursor(api: Api, cursor: str) -> None:
    document = """query ($c: String, $v: Int) { snapshot(priceList: "retail", version: $v) {
      version prices(after: $c) { nodes { sku amount } }
    } }"""
    assert (await api.data(document, c=cursor, v=1))["snapshot"] == NEXT_PAGE
    assert "snapshot(version: 1)" in await refusal(api, document, c=cursor, v=2)


async def test_a_current_version_is_not_mixed_with_that_of_a_cursor(api: Api, cursor: str) -> None:
    document = 'query ($c: String) { priceList(name: "retail") { current { prices(after: $c) { totalCount } } } }'
    assert "snapshot(version: 1)" in await refusal(api, document, c=cursor)


async def test_a_walk_ends_when_retention_took_its_version(api: Api, cursor: str) -> None:
    await api.runtime.store.db["snapshots"].update_one(
        {"_id": {"list": "retail", "version": 1}}, {"$set": {"state": "RETIRED"}}
    )
    document = 'query ($c: String) { snapshot(priceList: "retail") { prices(after: $c) { totalCount } } }'
    assert await api.error_codes(document, c=cursor) == ["SNAPSHOT_EXPIRED"]


async def test_fragments_that_multiply_are_looked_at_once(api: Api, cursor: str) -> None:
    fragments = " ".join(f"fragment F{n} on Snapshot {{ ...F{n + 1} ...F{n + 1} }}" for n in range(6))
    document = f"""query ($c: String) {{ snapshot(priceList: "retail") {{ version ...F0 }} }} {fragments}
      fragment F6 on Snapshot {{ prices(after: $c) {{ nodes {{ sku amount }} }} }}"""
    assert (await api.data(document, c=cursor))["snapshot"] == NEXT_PAGE
