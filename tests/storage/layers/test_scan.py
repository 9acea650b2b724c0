"""Scans: filters and orders give the same results as a dictionary, for any layers."""

import asyncio
import datetime
import functools
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import AttributeEquals, Price, PriceFilter, PriceOrder, Selection, SortPosition, Store, fair_yield
from storage.errors import ScanLimit
from storage.layers import block_order, newer_skus
from storage.layers import scan as scans
from storage.layers.reader import LayerReader
from storage.layers.row_allowance import MAX_SCAN
from storage.layers.scan import LayerScanner
from storage.prices.price import TOMBSTONE
from tests.storage.factories import Row, create, encoded, published, row, snapshot
from tests.storage.layers.memory import MemoryLayers, blocks_of_size, version_of

Rows = Mapping[str, Row | None]
"""The rows of a layer by sku: prices, or None for tombstones."""

SKUS = sorted(["a", "aa", "ab", "a.b", "$a", "b", "ba", "B", "é", "日本", "\ue000", "\uffff", "😀", "1", "10"])
AMOUNTS = ["0", "1", "1.0", "1.00", "2.5", "10", "9" * 34, "0." + "0" * 32 + "1"]
DAYS = [datetime.date(2025, 12, 31), datetime.date(2026, 1, 1), datetime.date(2026, 6, 30), datetime.date(9999, 12, 31)]
NAMES = ["a", "b", "a.b", "$a", "$where", "$$ROOT", "", "x y"]
VALUES: list[Any] = [
    *(1, 1.0, 0, True, False, "1", "", 2**53, 2**53 + 1, float(2**53), -1, 1.5, 2**63 - 1),
    *("$a", "$gt", "$attributes.a", "a.b", "{}", [], {}, [1], [[1]], [1, "x"], ["x", 1], [True], [None]),
    *({"$gt": ""}, {"$ne": None}, {"$in": [1]}, {"$literal": 1}, {"$ref": "x", "$id": 1}, {"": 1}),
    *({"a": 1, "b": [{"d": 1, "c": 2.0}]}, {"b": [{"c": 2, "d": 1.0}], "a": 1}, {"a.b": None}, {"a": True}),
]


def prices(sku: str) -> st.SearchStrategy[Row]:
    return st.builds(
        functools.partial(row, sku),
        st.sampled_from(AMOUNTS),
        st.sampled_from(["EUR", "EUR", "USD"]),
        validFrom=st.none() | st.sampled_from(DAYS[:2]),
        validUntil=st.none() | st.sampled_from(DAYS[1:]),
        attributes=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=4),
    )


LAYERS = st.lists(
    st.lists(st.sampled_from(SKUS), unique=True, min_size=1).flatmap(
        lambda skus: st.fixed_dictionaries({sku: prices(sku) | prices(sku) | st.none() for sku in skus})
    ),
    min_size=1,
    max_size=4,
)
FILTERS = st.builds(
    PriceFilter,
    st.sampled_from(["", "", "", "a", "aa", "1", "B", "é", "\ud7ff", "\ue000", "\uffff", "😀", "\U0010ffff", "zz"]),
    st.none() | st.sampled_from(["EUR", "USD", "JPY"]),
    st.none() | st.sampled_from(list(map(Decimal, [*AMOUNTS, "-1", "-0", "0.5", "1" + "0" * 40, "9" * 34 + ".5"]))),
    st.none() | st.sampled_from(list(map(Decimal, [*AMOUNTS, "-1", "2.4", "9" * 33 + "8.9", "0." + "0" * 40 + "1"]))),
    st.lists(st.builds(AttributeEquals, st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=2).map(tuple),
    st.none() | st.sampled_from(DAYS),
)
SELECTIONS = st.builds(Selection, st.just(PriceFilter()) | FILTERS, st.sampled_from(PriceOrder))


# The model


def equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: numbers by value, and a boolean is not a number."""
    if isinstance(one, bool) or isinstance(other, bool) or type(one) is str or one is None:
        return type(one) is type(other) and bool(one == other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return isinstance(one, int | float) and isinstance(other, int | float) and one == other


def matches(price: Row, filter_: PriceFilter) -> bool:
    amount, attributes = Decimal(price["amount"]), price.get("attributes") or {}
    first, last = price.get("validFrom"), price.get("validUntil")
    return all(
        (
            price["sku"].startswith(filter_.sku_prefix),
            filter_.currency in (None, price["currency"]),
            filter_.at_least is None or amount >= filter_.at_least,
            filter_.at_most is None or amount <= filter_.at_most,
            filter_.valid_on is None or first is None or first <= filter_.valid_on,
            filter_.valid_on is None or last is None or last >= filter_.valid_on,
            *(each.name in attributes and equal(attributes[each.name], each.value) for each in filter_.attributes),
        )
    )


def visible(layers: Sequence[Rows]) -> dict[str, Row]:
    """Return the visible prices of layers, given newest first."""
    newest: dict[str, Row | None] = {}
    for layer in reversed(layers):
        newest |= layer
    return {sku: price for sku, price in newest.items() if price is not None}


def selected(layers: Sequence[Rows], selection: Selection) -> list[Row]:
    found = [price for sku, price in sorted(visible(layers).items()) if matches(price, selection.filter)]
    if selection.order is PriceOrder.SKU:
        return found
    return sorted(
        found, key=lambda price: Decimal(price["amount"]) * (1 if selection.order is PriceOrder.AMOUNT_ASC else -1)
    )


# A version with given layers


class Version:
    """A version of layers in memory, newest first, whose blocks have `block_rows` rows."""

    def __init__(self, layers: Sequence[Rows], block_rows: int = 10, max_rows: int = MAX_SCAN) -> None:
        self.layers = MemoryLayers()
        self.snapshot = version_of(
            self.layers.add({}, blocks_of_size({sku: stored(price) for sku, price in rows.items()}, block_rows))
            for rows in layers
        )
        self.scanner = LayerScanner(self.layers.reader(), max_rows)

    async def page(self, selection: Selection, limit: int, **more: Any) -> list[str]:
        """The skus of a page."""
        return [price.sku for price in await self.scanner.page(self.snapshot, selection, limit, **more)]

    async def count(self, selection: Selection) -> int:
        return await self.scanner.count(self.snapshot, selection)

    async def walk(self, selection: Selection, size: int, *, backward: bool) -> list[str]:
        """The skus of a whole selection, read page by page."""
        found: list[Price] = []
        while True:
            if backward:
                before = position(found[0]) if found else None
                page = await self.scanner.page(self.snapshot, selection, size, before=before, backward=True)
                found = page + found
            else:
                after = position(found[-1]) if found else None
                page = await self.scanner.page(self.snapshot, selection, size, after=after)
                found = found + page
            assert len(page) <= size
            if not page:
                return [price.sku for price in found]


def stored(price: Row | None) -> bytes:
    return TOMBSTONE if price is None else encoded(price)


def position(price: Price) -> SortPosition:
    return SortPosition(price.sku, price.amount)


def skus_of(prices: Iterable[Row]) -> list[str]:
    return [price["sku"] for price in prices]


@given(
    layers=LAYERS,
    selections=st.lists(SELECTIONS, min_size=8, max_size=8),
    size=st.integers(1, 6),
    block_rows=st.integers(1, 6),
    held=st.integers(1, 8),
    backward=st.booleans(),
)
@settings(max_examples=60)
async def test_a_selection_equals_that_of_a_dictionary(
    layers: list[Rows], selections: list[Selection], size: int, block_rows: int, held: int, backward: bool
) -> None:
    version = Version(layers, block_rows)
    with (
        patch.object(scans, "MAX_READ_BLOCKS", 3),
        patch.object(block_order, "EXAMINED_AT_ONCE", 2),
        patch.multiple(newer_skus, MAX_HELD_SKUS=held, BLOCKS_PER_READ=2),
    ):
        for selection in selections:
            expected = skus_of(selected(layers, selection))
            assert await version.walk(selection, size, backward=backward) == expected, selection
            assert await version.count(selection) == len(expected), selection


@given(
    layers=LAYERS,
    selection=SELECTIONS,
    size=st.integers(1, 6),
    block_rows=st.integers(1, 6),
    ends=st.tuples(st.integers(0, 14), st.integers(0, 14)),
    backward=st.booleans(),
)
@settings(max_examples=60)
async def test_a_page_between_two_places_equals_that_of_a_dictionary(
    layers: list[Rows], selection: Selection, size: int, block_rows: int, ends: tuple[int, int], backward: bool
) -> None:
    everything = skus_of(selected(layers, Selection(order=selection.order)))
    after, before = (everything[end] if end < len(everything) else None for end in ends)
    low = everything.index(after) + 1 if after else 0
    high = everything.index(before) if before else len(everything)
    within = [sku for sku in skus_of(selected(layers, selection)) if sku in everything[low:high]]
    prices = visible(layers)
    page = await Version(layers, block_rows).page(
        selection,
        size,
        after=SortPosition(after, Decimal(prices[after]["amount"])) if after else None,
        before=SortPosition(before, Decimal(prices[before]["amount"])) if before else None,
        backward=backward,
    )
    assert page == (within[-size:] if backward else within[:size])


async def test_the_prices_of_a_page_are_whole(store: Store) -> None:
    await create(store)
    tiers = [{"minQuantity": 5, "amount": "1.50"}]
    prices = [row("a", "2.50", tiers=tiers, attributes={"x": 1}), row("b", "1.0", "USD"), row("c", "3.00")]
    await published(store, prices)
    version = await snapshot(store, 1)
    page = await store.scanner.page(version, Selection(order=PriceOrder.AMOUNT_DESC), 2)
    assert page == [(await store.layer_reader.find(version.layers, ["a", "c"]))[sku] for sku in ("c", "a")]
    assert await store.scanner.count(version, IN_EURO) == 2


@pytest.mark.parametrize(
    ("stored_value", "wanted", "expected"),
    [
        (1, 1.0, True),
        (1.0, 1, True),
        (0, -0.0, True),
        (-0.0, 0, True),
        (True, 1, False),
        (1, True, False),
        (False, 0, False),
        ([1, True], [1.0, True], True),
        ([1, 1], [1, True], False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1.0}]}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        (None, None, True),
        (2**53 + 1, float(2**53), False),
        (2**64 - 1, float(2**64), False),
        (1e300, 1e300, True),
        ("1", 1, False),
    ],
)
async def test_an_attribute_equals_as_in_json(stored_value: Any, wanted: Any, expected: bool) -> None:
    version = Version([{"a": row("a", attributes={"x": stored_value, "y": wanted}), "b": row("b")}])
    assert await version.page(Selection(PriceFilter(attributes=(AttributeEquals("x", wanted),))), 9) == ["a"] * expected


async def test_a_missing_attribute_matches_nothing() -> None:
    version = Version([{"a": row("a", attributes={"y": {"x": None}}), "b": row("b")}])
    assert await version.count(Selection(PriceFilter(attributes=(AttributeEquals("x", None),)))) == 0


async def test_an_attribute_within_another_value_does_not_match() -> None:
    attributes = {"inner": {"color": "red"}, "list": ["color", "red"], "text": "color red"}
    version = Version([{"a": row("a", attributes=attributes), "b": row("b", attributes={"color": "red"})}])
    assert await version.page(Selection(PriceFilter(attributes=(AttributeEquals("color", "red"),))), 9) == ["b"]


# Blocks that are read


EUR = PriceFilter(currency="EUR")
IN_EURO = Selection(EUR)
CHEAPEST = Selection(order=PriceOrder.AMOUNT_ASC)
DEAREST = Selection(order=PriceOrder.AMOUNT_DESC)


def numbered(count: int, currency: str = "EUR", first: int = 0) -> dict[str, Row]:
    return {f"s{n:03}": row(f"s{n:03}", str(1000 - n), currency) for n in range(first, first + count)}


@pytest.mark.parametrize(
    "price_filter",
    [
        PriceFilter(currency="JPY"),
        PriceFilter(at_least=Decimal("1000.01")),
        PriceFilter(at_most=Decimal("949")),
        PriceFilter(valid_on=datetime.date(2025, 12, 31)),
        PriceFilter(valid_on=datetime.date(2026, 2, 1)),
    ],
)
@pytest.mark.parametrize("order", PriceOrder)
async def test_blocks_that_cannot_match_are_not_read(price_filter: PriceFilter, order: PriceOrder) -> None:
    prices = {
        sku: {**price, "validFrom": datetime.date(2026, 1, 1), "validUntil": datetime.date(2026, 1, 31)}
        for sku, price in numbered(50).items()
    }
    version = Version([{"s051": None}, prices], 10)
    assert await version.page(Selection(price_filter, order), 10) == []
    assert await version.count(Selection(price_filter)) == 0
    assert version.layers.fetched == []


@pytest.mark.parametrize("order", [PriceOrder.AMOUNT_ASC, PriceOrder.AMOUNT_DESC])
@pytest.mark.parametrize("backward", [False, True])
async def test_a_page_by_amount_reads_only_blocks_that_can_have_its_prices(order: PriceOrder, backward: bool) -> None:
    version = Version([numbered(1000)], 10)
    selection = Selection(order=order)
    expected = skus_of(selected([numbered(1000)], selection))
    page = await version.page(selection, 3, backward=backward)
    assert page == (expected[-3:] if backward else expected[:3])
    assert version.layers.rows_fetched() <= 20
    after = SortPosition(expected[499], Decimal(numbered(1000)[expected[499]]["amount"]))
    version.layers.fetched.clear()
    if not backward:
        assert await version.page(selection, 3, after=after) == expected[500:503]
        assert version.layers.rows_fetched() <= 20


async def test_a_page_of_equal_amounts_reads_only_the_blocks_of_its_skus() -> None:
    version = Version([{f"s{n:03}": row(f"s{n:03}", "1.0" if n % 2 else "1.00") for n in range(1000)}], 10)
    for selection in (CHEAPEST, DEAREST):
        version.layers.fetched.clear()
        assert await version.page(selection, 2, after=SortPosition("s499", Decimal(1))) == ["s500", "s501"]
        assert await version.page(selection, 2, before=SortPosition("s500", Decimal(1)), backward=True) == [
            "s498",
            "s499",
        ]
        assert version.layers.rows_fetched() <= 40


async def test_a_page_in_sku_order_stops_when_it_is_full() -> None:
    version = Version([numbered(10, "USD"), numbered(1000)], 10)
    assert await version.page(IN_EURO, 2) == ["s010", "s011"]
    assert version.layers.rows_fetched() <= 60


async def test_only_newer_blocks_that_may_hide_a_match_are_read() -> None:
    version = Version([{f"s{n:03}": None for n in range(0, 1000, 2)}, numbered(1000)], 10)
    assert await version.page(DEAREST, 2) == ["s001", "s003"]
    assert version.layers.rows_fetched() <= 60


async def test_blocks_that_a_scan_reads_do_not_enter_the_cache_but_those_in_it_are_used() -> None:
    version = Version([numbered(100)], 10)
    reader = version.layers.reader()
    version.scanner = LayerScanner(reader)
    assert await version.count(IN_EURO) == 100
    assert reader.cache.frame_bytes == 0
    assert len(version.layers.fetched) == 10
    await reader.find(version.snapshot.layers, ["s055"])
    version.layers.fetched.clear()
    assert await version.count(IN_EURO) == 100
    assert len(version.layers.fetched) == 9


# The limit


@given(
    layers=LAYERS,
    selections=st.lists(SELECTIONS, min_size=4, max_size=4),
    size=st.integers(1, 6),
    limit=st.integers(1, 40),
    block_rows=st.integers(1, 6),
    backward=st.booleans(),
)
@settings(max_examples=40)
async def test_a_scan_with_a_limit_reads_no_more_and_returns_the_whole_page_or_fails(
    layers: list[Rows], selections: list[Selection], size: int, limit: int, block_rows: int, backward: bool
) -> None:
    for selection in selections:
        version = Version(layers, block_rows, limit)
        expected = skus_of(selected(layers, selection))
        try:
            page = await version.page(selection, size, backward=backward)
            count = await version.count(selection)
        except ScanLimit:
            assert sum(map(len, layers)) > limit // 2
        else:
            assert page == (expected[-size:] if backward else expected[:size])
            assert count == len(expected)
        assert version.layers.rows_fetched() <= 2 * limit


RED = Selection(PriceFilter(attributes=(AttributeEquals("color", "red"),)))


async def test_a_scan_that_has_to_read_more_than_the_limit_is_refused() -> None:
    layers = [numbered(5, "USD"), numbered(30)]
    for scan in (
        Version(layers, max_rows=34).page(RED, 1),
        Version(layers, max_rows=34).page(RED, 1, backward=True),
        Version(layers, max_rows=29).page(CHEAPEST, 40),
    ):
        with pytest.raises(ScanLimit, match=r"rows of version 3 of 'retail'.*skuPrefix") as refused:
            await scan
        assert refused.value.code == "SCAN_LIMIT"


async def test_a_count_of_more_rows_than_the_limit_is_refused_before_any_is_read() -> None:
    version = Version([numbered(30)], max_rows=29)
    with pytest.raises(ScanLimit, match="more than 29 rows"):
        await version.count(IN_EURO)
    assert version.layers.fetched == []


async def test_a_refusal_describes_the_selection() -> None:
    filter_ = PriceFilter("s", "EUR", Decimal(1), Decimal(2000), (AttributeEquals("a", 1),), DAYS[0])
    with pytest.raises(ScanLimit) as refused:
        await Version([numbered(5)], max_rows=4).page(Selection(filter_, PriceOrder.AMOUNT_DESC), 1)
    description = "filter by skuPrefix, currency, amount, attributes, validOn, orderBy AMOUNT_DESC"
    assert refused.value.message.startswith(f"{description} would read more than 4 rows")
    with pytest.raises(ScanLimit, match=r"^filter by currency would read"):  # a count has no order
        await Version([numbered(5)], max_rows=4).count(Selection(IN_EURO.filter, PriceOrder.AMOUNT_DESC))


async def test_a_scan_at_the_limit_is_not_refused() -> None:
    layers = [numbered(5, "USD"), numbered(30)]
    assert await Version(layers, max_rows=40).page(CHEAPEST, 40) == [f"s{n:03}" for n in range(29, -1, -1)]
    assert await Version(layers, max_rows=35).page(RED, 1) == []
    assert await Version(layers, max_rows=35).count(IN_EURO) == 25


async def test_a_page_that_is_full_before_the_limit_is_returned() -> None:
    layers = [numbered(5, "USD"), numbered(30)]
    assert await Version(layers, max_rows=15).page(IN_EURO, 5) == ["s005", "s006", "s007", "s008", "s009"]
    assert await Version(layers, max_rows=15).page(IN_EURO, 10, backward=True) == list(numbered(10, first=20))
    with pytest.raises(ScanLimit):
        await Version(layers, max_rows=15).page(IN_EURO, 6)


async def test_a_prefix_reduces_the_rows_read() -> None:
    layers = [numbered(5, "USD"), numbered(30)]
    first_ten = PriceFilter("s00")
    assert await Version(layers, max_rows=15).page(Selection(first_ten, PriceOrder.AMOUNT_ASC), 2) == ["s009", "s008"]
    assert await Version(layers, max_rows=15).count(Selection(PriceFilter("s00", "EUR"))) == 5
    with pytest.raises(ScanLimit):
        await Version(layers, max_rows=15).count(Selection(PriceFilter("s0", "EUR")))


async def test_concurrent_scans_are_limited() -> None:
    version = Version([numbered(3)])
    running = peak = 0
    contents = LayerReader.contents

    async def counted(*args: Any, **more: Any) -> Any:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(10):
            await asyncio.sleep(0)  # lets all others begin that may
        found = await contents(*args, **more)
        running -= 1
        return found

    with patch.object(LayerReader, "contents", counted):
        found = await asyncio.gather(*(version.page(CHEAPEST, 1) for _ in range(20)))
    assert found == [["s002"]] * 20
    assert peak == scans.MAX_CONCURRENT_SCANS


@pytest.mark.parametrize("order", [PriceOrder.SKU, PriceOrder.AMOUNT_ASC])
async def test_other_tasks_run_while_blocks_without_matches_are_examined(
    order: PriceOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_order, "EXAMINED_AT_ONCE", 2)
    monkeypatch.setattr(fair_yield, "SHARE", 0.0)
    monkeypatch.setattr(fair_yield, "MIN_SLICE_SECONDS", 0.0)
    version, turns = Version([numbered(100)], block_rows=1), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    assert await version.page(Selection(PriceFilter(currency="USD"), order), 3) == []
    running.cancel()
    assert turns >= 50
    assert version.layers.rows_fetched() == 0
