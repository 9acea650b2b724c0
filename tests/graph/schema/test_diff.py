"""Diffs in the API: pages in sku order, a summary, both prices with their own histories."""

from typing import Any

import pytest

from tests.graph.api import Api, row

DIFF = """
query ($from: Int!, $to: Int!, $first: Int, $after: String) {
  priceList(name: "retail") {
    diff(from: $from, to: $to, first: $first, after: $after) {
      nodes { sku change before { amount } after { amount unitAmount(quantity: 2) } }
      edges { cursor node { sku } }
      pageInfo { hasNextPage hasPreviousPage endCursor }
      totalCount
      summary { added removed changed unchanged }
    }
  }
}"""


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list whose version 1 has a, b and c. Version 2 raises b, removes c and adds d."""
    await api.create("retail")
    await api.publish("retail", [row("a"), row("b"), row("c")])
    await api.publish("retail", [row("a"), row("b", "2.00"), row("d")])
    return api


async def diff(api: Api, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.data(DIFF, **variables))["priceList"]["diff"]
    return found


async def test_a_difference_has_both_prices(retail: Api) -> None:
    found = await diff(retail, **{"from": 1, "to": 2})
    assert found["nodes"] == [
        {
            "sku": "b",
            "change": "CHANGED",
            "before": {"amount": "1.00"},
            "after": {"amount": "2.00", "unitAmount": "2.00"},
        },
        {"sku": "c", "change": "REMOVED", "before": {"amount": "1.00"}, "after": None},
        {"sku": "d", "change": "ADDED", "before": None, "after": {"amount": "1.00", "unitAmount": "1.00"}},
    ]
    assert found["summary"] == {"added": 1, "removed": 1, "changed": 1, "unchanged": 1}
    assert found["totalCount"] == 3
    assert found["pageInfo"]["hasNextPage"] is False


async def test_a_diff_to_an_older_version_is_reversed(retail: Api) -> None:
    found = await diff(retail, **{"from": 2, "to": 1})
    assert [(each["sku"], each["change"]) for each in found["nodes"]] == [
        ("b", "CHANGED"),
        ("c", "ADDED"),
        ("d", "REMOVED"),
    ]
    assert found["summary"] == {"added": 1, "removed": 1, "changed": 1, "unchanged": 1}


async def test_a_version_does_not_differ_from_itself(retail: Api) -> None:
    found = await diff(retail, **{"from": 2, "to": 2})
    assert (found["nodes"], found["summary"]) == ([], {"added": 0, "removed": 0, "changed": 0, "unchanged": 3})


async def test_the_summary_spans_several_versions(retail: Api) -> None:
    await retail.publish("retail", [row("a", "5.00"), row("e")])
    for _ in range(2):
        found = await diff(retail, **{"from": 1, "to": 3})
        assert found["summary"] == {"added": 1, "removed": 2, "changed": 1, "unchanged": 0}


async def test_a_diff_is_paginated(retail: Api) -> None:
    walked, after = [], None
    for has_next in (True, True, False):
        page = await diff(retail, **{"from": 1, "to": 2, "first": 1, "after": after})
        walked += [edge["node"]["sku"] for edge in page["edges"]]
        assert page["pageInfo"]["hasNextPage"] is has_next
        after = page["pageInfo"]["endCursor"]
    assert walked == ["b", "c", "d"]


async def test_a_cursor_of_another_diff_is_refused(retail: Api) -> None:
    cursor = (await diff(retail, **{"from": 1, "to": 2, "first": 1}))["pageInfo"]["endCursor"]
    assert await retail.error_codes(DIFF, **{"from": 2, "to": 1, "after": cursor}) == ["INVALID_ARGUMENT"]


@pytest.mark.parametrize(("from_", "to"), [(1, 9), (9, 1)])
async def test_a_diff_with_an_unknown_version_is_refused(retail: Api, from_: int, to: int) -> None:
    assert await retail.error_codes(DIFF, **{"from": from_, "to": to}) == ["SNAPSHOT_NOT_FOUND"]


async def test_a_diff_with_an_expired_version_is_refused(retail: Api) -> None:
    store = retail.runtime.store
    await store.db["snapshots"].update_one({"_id": {"list": "retail", "version": 1}}, {"$set": {"state": "RETIRED"}})
    assert await retail.error_codes(DIFF, **{"from": 1, "to": 2}) == ["SNAPSHOT_EXPIRED"]


async def test_each_price_has_the_history_of_its_own_version(retail: Api) -> None:
    data = await retail.data(
        """{ priceList(name: "retail") { diff(from: 1, to: 2, first: 1) { nodes {
             before { history { version } } after { history { version } } } } } }"""
    )
    [found] = data["priceList"]["diff"]["nodes"]
    assert found == {"before": {"history": [{"version": 1}]}, "after": {"history": [{"version": 2}, {"version": 1}]}}


async def test_a_failed_summary_is_computed_again(retail: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await retail.publish("retail", [row("a", "5.00"), row("e")])
    store, summary = retail.runtime.store, retail.runtime.store.differ.summary

    async def fail(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(store.differ, "summary", fail)
    assert await retail.error_codes(DIFF, **{"from": 1, "to": 3}) != []
    monkeypatch.setattr(store.differ, "summary", summary)
    assert (await diff(retail, **{"from": 1, "to": 3}))["summary"]["removed"] == 2
