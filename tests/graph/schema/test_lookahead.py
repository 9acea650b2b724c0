"""Pagination stays on one version: a snapshot is the version that the cursors below it name."""

from typing import Any

import pytest

from tests.graph.api import Api, row

FIRST_PAGE = """{ snapshot(priceList: "retail") {
  version prices(first: 2) { nodes { sku amount } pageInfo { startCursor endCursor } }
} }"""


@pytest.fixture
async def cursor(api: Api) -> str:
    """Create a list `retail` with two versions, and return a cursor after the second price of version 1."""
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


DOCUMENTS = {
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


async def test_pagination_stays_on_its_version_however_the_cursor_is_written(api: Api, cursor: str) -> None:
    for name, document in DOCUMENTS.items():
        data = await api.data(document.replace("CURSOR", cursor), **{"c": cursor} if "$c" in document else {})
        assert data["snapshot"] == NEXT_PAGE, name


async def test_backward_pagination_stays_on_its_version(api: Api, cursor: str) -> None:
    document = """query ($c: String) { snapshot(priceList: "retail") {
      version prices(last: 5, before: $c) { nodes { sku amount } }
    } }"""
    assert (await api.data(document, c=cursor))["snapshot"] == {
        "version": 1,
        "prices": {"nodes": [{"sku": "a", "amount": "1.00"}]},
    }


async def test_all_other_fields_of_the_snapshot_are_of_the_same_version(api: Api, cursor: str) -> None:
    document = """query ($c: String) { snapshot(priceList: "retail") {
      page: prices(after: $c) { totalCount } price(sku: "a") { amount } first: prices(first: 1) { nodes { amount } }
    } }"""
    assert (await api.data(document, c=cursor))["snapshot"] == {
        "page": {"totalCount": 4},
        "price": {"amount": "1.00"},
        "first": {"nodes": [{"amount": "1.00"}]},
    }


async def test_another_snapshot_of_the_request_is_the_current_version(api: Api, cursor: str) -> None:
    document = """query ($c: String) {
      page: snapshot(priceList: "retail") { version prices(after: $c) { nodes { sku } } }
      now: snapshot(priceList: "retail") { version prices { nodes { sku } } }
    }"""
    data = await api.data(document, c=cursor)
    assert (data["page"]["version"], data["now"]["version"]) == (1, 2)


async def test_a_snapshot_without_cursors_is_the_current_version(api: Api, cursor: str) -> None:
    document = """query ($c: String) { snapshot(priceList: "retail") { version prices(after: $c) { totalCount } } }"""
    for variables in ({}, {"c": None}):
        assert (await api.data(document, **variables))["snapshot"]["version"] == 2


async def refusal_message(api: Api, document: str, **variables: Any) -> str:
    [error] = (await api.execute(document, **variables))["errors"]
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    message: str = error["message"]
    return message


async def test_cursors_of_two_versions_below_one_snapshot_are_refused(api: Api, cursor: str) -> None:
    document = """query ($c: String, $d: String) { snapshot(priceList: "retail") {
      old: prices(after: $c) { totalCount } new: prices(after: $d) { totalCount }
    } }"""
    assert "1, 2" in await refusal_message(api, document, c=cursor, d=await current_cursor(api))


async def test_a_cursor_of_another_version_than_the_requested_one_is_refused(api: Api, cursor: str) -> None:
    document = """query ($c: String, $v: Int) { snapshot(priceList: "retail", version: $v) {
      version prices(after: $c) { nodes { sku amount } }
    } }"""
    assert (await api.data(document, c=cursor, v=1))["snapshot"] == NEXT_PAGE
    assert "snapshot(version: 1)" in await refusal_message(api, document, c=cursor, v=2)


async def test_a_cursor_of_another_version_than_the_current_one_is_refused(api: Api, cursor: str) -> None:
    document = 'query ($c: String) { priceList(name: "retail") { current { prices(after: $c) { totalCount } } } }'
    assert "snapshot(version: 1)" in await refusal_message(api, document, c=cursor)


async def test_pagination_ends_when_its_version_expires(api: Api, cursor: str) -> None:
    await api.runtime.store.db["snapshots"].update_one(
        {"_id": {"list": "retail", "version": 1}}, {"$set": {"state": "RETIRED"}}
    )
    document = 'query ($c: String) { snapshot(priceList: "retail") { prices(after: $c) { totalCount } } }'
    assert await api.error_codes(document, c=cursor) == ["SNAPSHOT_EXPIRED"]


async def test_each_fragment_is_searched_for_cursors_once(api: Api, cursor: str) -> None:
    fragments = " ".join(f"fragment F{n} on Snapshot {{ ...F{n + 1} ...F{n + 1} }}" for n in range(6))
    document = f"""query ($c: String) {{ snapshot(priceList: "retail") {{ version ...F0 }} }} {fragments}
      fragment F6 on Snapshot {{ prices(after: $c) {{ nodes {{ sku amount }} }} }}"""
    assert (await api.data(document, c=cursor))["snapshot"] == NEXT_PAGE
