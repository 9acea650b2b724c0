"""Diffs in the API: pages in sku order, a summary, statistics, both prices with their own histories."""

from itertools import pairwise
from typing import Any

import pytest

from storage import DiffStatistics, Snapshot
from tests.graph.api import Api, row

DIFF = """
query ($from: Int!, $to: Int!, $first: Int, $after: String, $skuPrefix: String) {
  priceList(name: "retail") {
    diff(from: $from, to: $to, first: $first, after: $after, skuPrefix: $skuPrefix) {
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


STATISTICS = """{
  priceList(name: "retail") { diff(from: 1, to: 2, first: 1) {
    one: largest(first: 1) { sku }
    largest { sku change before { amount } after { amount history { version } } }
    distribution { from to count }
  } } }"""


WITH_PREFIX = """{
  priceList(name: "retail") { diff(from: 1, to: 2, skuPrefix: "u") {
    nodes { sku } totalCount largest(first: 5) { sku } distribution { count }
    summary { added removed changed unchanged }
  } } }"""


@pytest.fixture
async def moved(api: Api) -> Api:
    """A list whose version 2 changes prices in all ways."""
    await api.create("retail")
    same = [row("same"), row("tiers"), row("removed")]
    await api.publish("retail", [*same, *(row(sku, "10.00") for sku in ("up", "down", "far", "usd")), row("free", "0")])
    changed = [row("up", "11.00"), row("down", "9.00"), row("far", "100.00"), row("usd", "20.00", "USD")]
    tiers = [{"minQuantity": 5, "amount": "0.50"}]
    await api.publish("retail", [row("same"), row("tiers", tiers=tiers), row("added"), row("free", "1"), *changed])
    return api


async def test_the_largest_changes_are_those_of_an_amount_in_percent(moved: Api) -> None:
    found = (await moved.data(STATISTICS))["priceList"]["diff"]
    assert [(each["sku"], each["before"]["amount"], each["after"]["amount"]) for each in found["largest"]] == [
        ("far", "10.00", "100.00"),
        ("down", "10.00", "9.00"),
        ("up", "10.00", "11.00"),
    ]
    assert found["one"] == [{"sku": "far"}]
    assert found["largest"][0]["change"] == "CHANGED"
    assert found["largest"][0]["after"]["history"] == [{"version": 2}, {"version": 1}]


async def test_the_distribution_has_all_buckets(moved: Api) -> None:
    found = (await moved.data(STATISTICS))["priceList"]["diff"]["distribution"]
    bounds = [None, "-50", "-25", "-10", "-5", "-1", "0", "1", "5", "10", "25", "50", "100", None]
    assert [(each["from"], each["to"]) for each in found] == list(pairwise(bounds))
    assert {each["from"]: each["count"] for each in found if each["count"]} == {"-25": 1, "10": 1, "100": 1}


async def test_one_pass_over_the_differences_keeps_no_more_than_the_fields_request(
    moved: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    differ, passes = moved.runtime.store.differ, list[int]()
    statistics = differ.statistics

    async def counted(before: Snapshot, after: Snapshot, largest: int, *, sku_prefix: str) -> DiffStatistics:
        passes.append(largest)
        return await statistics(before, after, largest, sku_prefix=sku_prefix)

    monkeypatch.setattr(differ, "statistics", counted)
    await moved.data(STATISTICS)
    await moved.data('{ priceList(name: "retail") { diff(from: 1, to: 2) { distribution { count } } } }')
    await moved.data('{ priceList(name: "retail") { diff(from: 1, to: 2) { totalCount nodes { sku } } } }')
    await moved.data(WITH_PREFIX)
    assert passes == [20, 0, 5]


@pytest.mark.parametrize("first", [0, -1, 1001])
async def test_the_number_of_largest_changes_has_a_limit(moved: Api, first: int) -> None:
    document = f'{{ priceList(name: "retail") {{ diff(from: 1, to: 2) {{ largest(first: {first}) {{ sku }} }} }} }}'
    [code] = await moved.error_codes(document)
    assert code == ("PAGE_TOO_LARGE" if first > 1000 else "INVALID_ARGUMENT")


# ---------------------------------------------------------------- the differences of a prefix


async def test_a_prefix_narrows_all_but_the_summary(moved: Api) -> None:
    found = (await moved.data(WITH_PREFIX))["priceList"]["diff"]
    assert (found["nodes"], found["totalCount"]) == ([{"sku": "up"}, {"sku": "usd"}], 2)
    assert found["largest"] == [{"sku": "up"}]
    assert sum(each["count"] for each in found["distribution"]) == 1
    assert found["summary"] == {"added": 1, "removed": 1, "changed": 6, "unchanged": 1}


async def test_the_differences_of_a_prefix_are_paginated_with_the_same_prefix(moved: Api) -> None:
    variables: dict[str, Any] = {"from": 1, "to": 2, "first": 1}
    page = await diff(moved, **variables, skuPrefix="u")
    assert (page["nodes"][0]["sku"], page["pageInfo"]["hasNextPage"]) == ("up", True)
    after = page["pageInfo"]["endCursor"]
    page = await diff(moved, **variables, skuPrefix="u", after=after)
    assert (page["nodes"][0]["sku"], page["pageInfo"]["hasNextPage"]) == ("usd", False)
    for other in (None, "", "up", "d"):
        assert await moved.error_codes(DIFF, **variables, skuPrefix=other, after=after) == ["INVALID_ARGUMENT"], other
    without = (await diff(moved, **variables))["pageInfo"]["endCursor"]
    assert await moved.error_codes(DIFF, **variables, skuPrefix="a", after=without) == ["INVALID_ARGUMENT"]


async def test_a_prefix_is_no_longer_than_a_sku(moved: Api) -> None:
    variables: dict[str, Any] = {"from": 1, "to": 2}
    assert (await diff(moved, **variables, skuPrefix="u" * 256))["totalCount"] == 0
    [error] = (await moved.execute(DIFF, **variables, skuPrefix="u" * 257))["errors"]
    assert (error["extensions"], error["path"]) == ({"code": "INVALID_ARGUMENT"}, ["priceList", "diff"])
