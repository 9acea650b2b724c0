"""Filters and orders of prices in the API."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage.mongodb.connection import connect
from tests.graph.api import Api, open_settings, row, serving

PAGE = """
query ($filter: PriceFilter, $orderBy: PriceOrder, $first: Int, $after: String, $last: Int, $before: String, $v: Int) {
  snapshot(priceList: "retail", version: $v) {
    version
    prices(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
      totalCount nodes { sku amount } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}"""

PRICES = [
    row("TEA-1", "12.50", attributes={"colour": "green", "grams": 100}, validFrom="2026-01-01"),
    row("TEA-2", "7.00", attributes={"colour": "black", "grams": 100.0}, validUntil="2026-06-30"),
    row("TEA-3", "7.0", "USD", attributes={"colour": "black", "a.b": {"y": 1, "x": [True, None]}}),
    row("CUP-1", "7", attributes={"$where": "1", "$gt": "", "nested": {"$ref": "x", "$id": 1}}),
    row("CUP-2", "100.00", validFrom="2026-03-01", validUntil="2026-03-01"),
    row("cup-3", "9.99", "JPY"),
]


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list `retail` with two layers: version 2 overrides and removes prices of version 1."""
    await api.create("retail")
    old = [row(price["sku"], "7.00", "USD", attributes={"colour": "green"}) for price in PRICES]
    await api.publish("retail", [*old, row("TEA-9", "7.00", attributes={"colour": "black"})])
    payload = await api.submit("retail", PRICES, mode="MERGE", remove=["TEA-9"])
    assert payload["batch"]["version"] == 2
    return api


async def page(api: Api, price_filter: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.data(PAGE, filter=price_filter, **arguments))["snapshot"]["prices"]
    return found


async def skus(api: Api, price_filter: dict[str, Any] | None = None, **arguments: Any) -> list[str]:
    found = await page(api, price_filter, **arguments)
    names = [price["sku"] for price in found["nodes"]]
    assert found["totalCount"] == len(names)
    return names


EVERYTHING = ["CUP-1", "CUP-2", "TEA-1", "TEA-2", "TEA-3", "cup-3"]


async def test_prices_are_filtered_by_sku_prefix(retail: Api) -> None:
    assert await skus(retail, {"skuPrefix": "TEA-"}) == ["TEA-1", "TEA-2", "TEA-3"]
    assert await skus(retail, {"skuPrefix": "CUP-1"}) == ["CUP-1"]
    assert await skus(retail, {"skuPrefix": "TEA-9"}) == []
    assert await skus(retail, {"skuPrefix": "."}) == []
    assert await skus(retail, {"skuPrefix": "TEA-", "currency": "EUR"}) == ["TEA-1", "TEA-2"]


async def test_prices_are_filtered_by_currency(retail: Api) -> None:
    assert await skus(retail, {"currency": "EUR"}) == ["CUP-1", "CUP-2", "TEA-1", "TEA-2"]
    assert await skus(retail, {"currency": "USD"}) == ["TEA-3"]
    assert await skus(retail, {"currency": "CHF"}) == []


async def test_prices_are_filtered_by_an_inclusive_range_of_amounts(retail: Api) -> None:
    assert await skus(retail, {"amount": {"gte": "9.99", "lte": "12.50"}}) == ["TEA-1", "cup-3"]
    assert await skus(retail, {"amount": {"gte": "12.500000000000000000000000000000000000001"}}) == ["CUP-2"]
    assert await skus(retail, {"amount": {"lte": "7"}}) == ["CUP-1", "TEA-2", "TEA-3"]
    assert await skus(retail, {"amount": {"lte": "-1"}}) == []
    assert await skus(retail, {"amount": {"gte": "1" + "0" * 99}}) == []
    assert await skus(retail, {"amount": {"gte": "8", "lte": "7"}}) == []


async def test_prices_are_filtered_by_a_day_of_validity(retail: Api) -> None:
    assert await skus(retail, {"validOn": "2025-12-31"}) == ["CUP-1", "TEA-2", "TEA-3", "cup-3"]
    assert await skus(retail, {"validOn": "2026-03-01"}) == EVERYTHING
    assert await skus(retail, {"validOn": "2026-06-30"}) == ["CUP-1", "TEA-1", "TEA-2", "TEA-3", "cup-3"]
    assert await skus(retail, {"validOn": "2026-07-01"}) == ["CUP-1", "TEA-1", "TEA-3", "cup-3"]


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ([("colour", "black")], ["TEA-2", "TEA-3"]),
        ([("colour", "black"), ("grams", 100)], ["TEA-2"]),
        ([("grams", 100)], ["TEA-1", "TEA-2"]),
        ([("grams", "100")], []),
        ([("grams", {"$gt": 1})], []),
        ([("colour", {"$ne": "green"})], []),
        ([("a.b", {"x": [True, None], "y": 1.0})], ["TEA-3"]),
        ([("a.b", {"x": [1, None], "y": 1})], []),
        ([("a", {"b": {"x": [True, None], "y": 1}})], []),
        ([("a.b.y", 1)], []),
        ([("nested.$id", 1)], []),
        ([("nested", {"$id": 1, "$ref": "x"})], ["CUP-1"]),
        ([("$where", "1")], ["CUP-1"]),
        ([("$where", "true")], []),
        ([("$gt", "")], ["CUP-1"]),
        ([("$$ROOT", "")], []),
        ([("", "")], []),
        ([("colour", "$attributes.colour")], []),
    ],
)
async def test_prices_are_filtered_by_attributes_compared_as_values(
    retail: Api, attributes: list[tuple[str, Any]], found: list[str]
) -> None:
    conditions = [{"name": name, "value": value} for name, value in attributes]
    assert await skus(retail, {"attributes": conditions}) == found


async def test_attributes_can_be_written_in_the_document(retail: Api) -> None:
    document = """{ snapshot(priceList: "retail") {
      prices(filter: {attributes: [{name: "a.b", value: {y: 1, x: [true, null]}}]}) { nodes { sku attributes } }
    } }"""
    assert (await retail.data(document))["snapshot"]["prices"]["nodes"] == [
        {"sku": "TEA-3", "attributes": {"colour": "black", "a.b": {"x": [True, None], "y": 1}}}
    ]


@pytest.mark.parametrize("empty", [None, {}, {"skuPrefix": ""}, {"amount": {}, "attributes": []}, {"currency": None}])
async def test_an_empty_filter_matches_everything(retail: Api, empty: dict[str, Any] | None) -> None:
    assert await skus(retail, empty) == EVERYTHING
    assert await skus(retail, empty, orderBy="SKU") == EVERYTHING
    cursor = (await page(retail, first=2))["pageInfo"]["endCursor"]
    assert [price["sku"] for price in (await page(retail, empty, after=cursor))["nodes"]] == EVERYTHING[2:]


async def test_prices_are_ordered_by_amount_and_then_by_sku(retail: Api) -> None:
    ties = ["CUP-1", "TEA-2", "TEA-3"]
    assert await skus(retail, orderBy="AMOUNT_ASC") == [*ties, "cup-3", "TEA-1", "CUP-2"]
    assert await skus(retail, orderBy="AMOUNT_DESC") == ["CUP-2", "TEA-1", "cup-3", *ties]
    assert await skus(retail, {"currency": "EUR"}, orderBy="AMOUNT_DESC") == ["CUP-2", "TEA-1", "CUP-1", "TEA-2"]


@pytest.mark.parametrize("order", ["SKU", "AMOUNT_ASC", "AMOUNT_DESC"])
@pytest.mark.parametrize("price_filter", [{"skuPrefix": "TEA"}, {"amount": {"lte": "20"}}, None])
async def test_a_selection_is_paginated_in_both_directions(
    retail: Api, price_filter: dict[str, Any] | None, order: str
) -> None:
    everything = await skus(retail, price_filter, orderBy=order)
    for size in (1, 2, 4):
        found = await page(retail, price_filter, orderBy=order, first=size)
        forward = [price["sku"] for price in found["nodes"]]
        while found["pageInfo"]["hasNextPage"]:
            assert found["totalCount"] == len(everything)
            found = await page(retail, price_filter, orderBy=order, first=size, after=found["pageInfo"]["endCursor"])
            forward += [price["sku"] for price in found["nodes"]]
        found = await page(retail, price_filter, orderBy=order, last=size)
        backward = [price["sku"] for price in found["nodes"]]
        while found["pageInfo"]["hasPreviousPage"]:
            found = await page(retail, price_filter, orderBy=order, last=size, before=found["pageInfo"]["startCursor"])
            backward = [*(price["sku"] for price in found["nodes"]), *backward]
        assert forward == backward == everything


async def test_pagination_of_a_selection_stays_on_its_version(retail: Api) -> None:
    price_filter = {"currency": "EUR"}
    first = await page(retail, price_filter, orderBy="AMOUNT_DESC", first=2)
    await retail.publish("retail", [row("TEA-1", "1.00")])
    data = await retail.data(PAGE, filter=price_filter, orderBy="AMOUNT_DESC", after=first["pageInfo"]["endCursor"])
    assert data["snapshot"]["version"] == 2
    assert [price["sku"] for price in data["snapshot"]["prices"]["nodes"]] == ["CUP-1", "TEA-2"]
    assert await retail.error_codes(
        PAGE, filter=price_filter, orderBy="AMOUNT_DESC", after=first["pageInfo"]["endCursor"], v=3
    ) == ["INVALID_ARGUMENT"]


async def test_a_cursor_of_another_filter_or_order_is_refused(retail: Api) -> None:
    selections: list[dict[str, Any]] = [
        {},
        {"orderBy": "AMOUNT_ASC"},
        {"orderBy": "AMOUNT_DESC"},
        {"filter": {"skuPrefix": "TEA"}},
        {"filter": {"currency": "EUR"}},
        {"filter": {"currency": "EUR"}, "orderBy": "AMOUNT_ASC"},
        {"filter": {"attributes": [{"name": "colour", "value": "black"}]}},
        {"filter": {"attributes": [{"name": "colour", "value": "green"}]}},
    ]
    cursors = [
        (await retail.data(PAGE, **each, first=1))["snapshot"]["prices"]["pageInfo"]["endCursor"] for each in selections
    ]
    for mine, selection in enumerate(selections):
        for theirs, cursor in enumerate(cursors):
            for argument in ("after", "before"):
                codes = await retail.error_codes(PAGE, **selection, **{argument: cursor})
                assert codes == ([] if mine == theirs else ["INVALID_ARGUMENT"]), (selection, selections[theirs])


DEEP: Any = [[[[[[[[[1]]]]]]]]]


@pytest.mark.parametrize(
    ("price_filter", "message"),
    [
        ({"currency": "eur"}, "'eur' is not an ISO 4217 currency code"),
        ({"currency": ""}, "not an ISO 4217 currency code"),
        ({"attributes": [{"name": "a", "value": DEEP}]}, "nested at most 8 levels deep"),
        ({"attributes": [{"name": "a", "value": 2**64}]}, "exceeds 64 bits"),
        ({"attributes": [{"name": "a", "value": "x" * 17_000}]}, "at most 16384 bytes"),
        ({"attributes": [{"name": "a", "value": 1}] * 21}, "at most 20 attributes"),
    ],
)
async def test_a_filter_that_no_price_can_match_is_refused(
    retail: Api, price_filter: dict[str, Any], message: str
) -> None:
    [error] = (await retail.execute(PAGE, filter=price_filter))["errors"]
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    assert message in error["message"]


async def test_a_prefix_that_no_sku_can_have_matches_nothing(retail: Api) -> None:
    for prefix in ("\0", "\U0010ffff", "\U0010ffff\U0010ffff", "x" * 256):
        assert await skus(retail, {"skuPrefix": prefix}) == []


@pytest.fixture
async def limited(mongodb_uri: str) -> AsyncIterator[Api]:
    """An application with a scan limit of 500 rows."""
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database="test_limited", max_scan=500)
    async with serving(settings) as api:
        yield api
    async with await connect(mongodb_uri) as client:
        await client.drop_database("test_limited")
        await client.drop_database("test_limited_layers")


async def test_a_scan_beyond_the_limit_is_refused(limited: Api) -> None:
    await limited.create("retail")
    amounts = [str(n * 7919 % 1000) for n in range(1000)]  # each block has low and high ones
    await limited.publish("retail", [row(f"{n:03}", amounts[n], "EUR" if n % 2 else "USD") for n in range(1000)])
    assert len((await page(limited, first=1000))["nodes"]) == 1000
    by_amount = sorted(range(101, 110, 2), key=lambda n: int(amounts[n]))
    found = await skus(limited, {"skuPrefix": "10", "currency": "EUR"}, orderBy="AMOUNT_ASC")
    assert found == list(map(str, by_amount))
    for arguments in ({"filter": {"currency": "EUR"}}, {"orderBy": "AMOUNT_ASC"}):
        [error] = (await limited.execute(PAGE, **arguments))["errors"]
        assert error["extensions"] == {"code": "SCAN_LIMIT"}
        assert "more than 500 rows of version 1 of 'retail'" in error["message"]
    document = """{ snapshot(priceList: "retail") { prices(first: 9, filter: {currency: "EUR"}) {
      nodes { sku } pageInfo { hasNextPage } } } }"""
    assert (await limited.data(document))["snapshot"]["prices"] == {
        "nodes": [{"sku": f"{n:03}"} for n in range(1, 19, 2)],
        "pageInfo": {"hasNextPage": True},
    }
