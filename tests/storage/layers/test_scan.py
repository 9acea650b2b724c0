"""Scans: filters and orders give the same results as a dictionary, for any layers."""

import asyncio
import datetime
import functools
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import bson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import (
    AttributeEquals,
    Layer,
    PriceFilter,
    PriceOrder,
    Selection,
    Snapshot,
    SnapshotState,
    SortPosition,
    Store,
)
from storage.errors import ScanLimit
from storage.layers import scan as scans
from storage.layers.scan import LayerScanner
from storage.prices.price import encode_tombstone
from tests.storage.factories import Row, document_of, row

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


async def stored(store: Store, layers: Sequence[Rows]) -> Snapshot:
    ids = [secrets.token_hex(6) for _ in layers]
    await asyncio.gather(*(_insert(store, id_, rows) for id_, rows in zip(ids, layers, strict=True)))
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    manifest = tuple(Layer(id_, len(rows), "") for id_, rows in zip(ids, layers, strict=True))
    return Snapshot("retail", 3, manifest, len(visible(layers)), SnapshotState.PUBLISHED, now, now, None, "x", None)


async def _insert(store: Store, layer: str, rows: Rows) -> None:
    documents = [
        bson.decode(encode_tombstone(sku.encode(), n) if price is None else document_of(price, n))
        for n, (sku, price) in enumerate(rows.items())
    ]
    await store.db[f"layer.{layer}"].insert_many(documents)


def position(price: Row | None) -> SortPosition | None:
    return SortPosition(price["sku"], Decimal(price["amount"])) if price else None


async def walk(
    scanner: LayerScanner,
    snapshot: Snapshot,
    selection: Selection,
    size: int,
    prices: Mapping[str, Row],
    backward: bool,
) -> list[str]:
    """Return all skus of a selection, read page by page."""
    skus: list[str] = []
    while True:
        seen = set(skus)
        if backward:
            page = await scanner.page(
                snapshot, selection, size, before=position(prices[skus[0]]) if skus else None, backward=True
            )
            skus = page + skus
        else:
            page = await scanner.page(snapshot, selection, size, after=position(prices[skus[-1]]) if skus else None)
            skus = skus + page
        assert seen.isdisjoint(page)
        if not page:
            return skus


def skus_of(prices: Iterable[Row]) -> list[str]:
    return [price["sku"] for price in prices]


@given(
    layers=LAYERS,
    selections=st.lists(SELECTIONS, min_size=8, max_size=8),
    size=st.integers(1, 6),
    run=st.integers(1, 8),
    backward=st.booleans(),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_a_selection_equals_that_of_a_dictionary(
    store: Store, layers: list[Rows], selections: list[Selection], size: int, run: int, backward: bool
) -> None:
    snapshot, prices = await stored(store, layers), visible(layers)
    scanner = LayerScanner(store.db)
    with patch.multiple(scans, MAX_HELD_SKUS=run, MIN_RUN=1, CURSOR_BATCH=2):
        for selection in selections:
            expected = skus_of(selected(layers, selection))
            assert await walk(scanner, snapshot, selection, size, prices, backward) == expected, selection
            assert await scanner.count(snapshot, selection) == len(expected), selection


@given(
    layers=LAYERS,
    selection=SELECTIONS,
    size=st.integers(1, 6),
    ends=st.tuples(st.integers(0, 14), st.integers(0, 14)),
    backward=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_page_between_two_places_equals_that_of_a_dictionary(
    store: Store, layers: list[Rows], selection: Selection, size: int, ends: tuple[int, int], backward: bool
) -> None:
    everything = skus_of(selected(layers, Selection(order=selection.order)))
    after, before = (everything[end] if end < len(everything) else None for end in ends)
    low = everything.index(after) + 1 if after else 0
    high = everything.index(before) if before else len(everything)
    within = [sku for sku in skus_of(selected(layers, selection)) if sku in everything[low:high]]
    prices = visible(layers)
    page = await LayerScanner(store.db).page(
        await stored(store, layers),
        selection,
        size,
        after=position(prices[after]) if after else None,
        before=position(prices[before]) if before else None,
        backward=backward,
    )
    assert page == (within[-size:] if backward else within[:size])


# The limit


@given(
    layers=LAYERS,
    selections=st.lists(SELECTIONS, min_size=4, max_size=4),
    size=st.integers(1, 6),
    limit=st.integers(1, 40),
    stretch=st.integers(1, 10),
    backward=st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_scan_with_a_limit_returns_the_whole_page_or_fails(
    store: Store,
    layers: list[Rows],
    selections: list[Selection],
    size: int,
    limit: int,
    stretch: int,
    backward: bool,
) -> None:
    snapshot, scanner = await stored(store, layers), LayerScanner(store.db, limit)
    with patch.multiple(scans, FIRST_SCAN_RECORDS=stretch, MAX_HELD_SKUS=3, MIN_RUN=1):
        for selection in selections:
            expected = skus_of(selected(layers, selection))
            try:
                page = await scanner.page(snapshot, selection, size, backward=backward)
            except ScanLimit:
                assert sum(map(len, layers)) > limit
            else:
                assert page == (expected[-size:] if backward else expected[:size])


EUR = PriceFilter(currency="EUR")
IN_EURO = Selection(EUR)
CHEAPEST = Selection(order=PriceOrder.AMOUNT_ASC)


def numbered(count: int, currency: str = "EUR", first: int = 0) -> dict[str, Row]:
    return {f"s{n:03}": row(f"s{n:03}", str(1000 - n), currency) for n in range(first, first + count)}


async def test_a_scan_that_has_to_read_more_than_the_limit_is_refused(store: Store) -> None:
    snapshot, scanner = await stored(store, [numbered(5, "USD"), numbered(30)]), LayerScanner(store.db, 34)
    for scan in (
        scanner.page(snapshot, CHEAPEST, 1),
        scanner.page(snapshot, Selection(PriceFilter(currency="JPY")), 1),
        scanner.page(snapshot, Selection(PriceFilter(currency="JPY")), 1, backward=True),
        scanner.count(snapshot, IN_EURO),
    ):
        with pytest.raises(ScanLimit, match=r"34 records of version 3 of 'retail'.*skuPrefix") as refused:
            await scan
        assert refused.value.code == "SCAN_LIMIT"


async def test_a_refusal_describes_the_selection(store: Store) -> None:
    snapshot = await stored(store, [numbered(5)])
    filter_ = PriceFilter("s", "EUR", Decimal(1), Decimal(2), (AttributeEquals("a", 1),), DAYS[0])
    with pytest.raises(ScanLimit) as refused:
        await LayerScanner(store.db, 4).count(snapshot, Selection(filter_, PriceOrder.AMOUNT_DESC))
    description = "filter by skuPrefix, currency, amount, attributes, validOn, orderBy AMOUNT_DESC"
    assert refused.value.message.startswith(f"{description} would read more than 4 records")


async def test_a_scan_at_the_limit_is_not_refused(store: Store) -> None:
    snapshot, scanner = await stored(store, [numbered(5, "USD"), numbered(30)]), LayerScanner(store.db, 35)
    assert await scanner.page(snapshot, CHEAPEST, 1) == ["s029"]
    assert await scanner.page(snapshot, Selection(PriceFilter(currency="JPY")), 1) == []
    assert await scanner.count(snapshot, IN_EURO) == 25


async def test_a_page_that_is_full_before_the_limit_is_returned(store: Store) -> None:
    snapshot, scanner = await stored(store, [numbered(5, "USD"), numbered(30)]), LayerScanner(store.db, 15)
    assert await scanner.page(snapshot, IN_EURO, 5) == ["s005", "s006", "s007", "s008", "s009"]
    assert await scanner.page(snapshot, IN_EURO, 10, backward=True) == list(numbered(10, first=20))
    with pytest.raises(ScanLimit):
        await scanner.page(snapshot, IN_EURO, 6)
    with patch.object(scans, "FIRST_SCAN_RECORDS", 7):
        assert await scanner.page(snapshot, IN_EURO, 5) == ["s005", "s006", "s007", "s008", "s009"]


async def test_a_prefix_reduces_the_records_read(store: Store) -> None:
    snapshot, scanner = await stored(store, [numbered(5, "USD"), numbered(30)]), LayerScanner(store.db, 15)
    first_ten = PriceFilter("s00")
    assert await scanner.page(snapshot, Selection(first_ten, PriceOrder.AMOUNT_ASC), 2) == ["s009", "s008"]
    assert await scanner.count(snapshot, Selection(PriceFilter("s00", "EUR"))) == 5
    assert await scanner.page(snapshot, Selection(PriceFilter("s00", "JPY")), 1) == []
    assert await scanner.page(snapshot, Selection(PriceFilter("s0", "JPY")), 1, after=SortPosition("s020")) == []
    with pytest.raises(ScanLimit):
        await scanner.count(snapshot, Selection(PriceFilter("s0")))


@pytest.fixture
async def profiled(store: Store) -> AsyncIterator[Store]:
    """A store whose server profiles its reads."""
    await store.db.command("profile", 2)
    yield store
    await store.db.command("profile", 0)


async def records_read(store: Store) -> int:
    """Return the number of records that the server read from layers."""
    query = {"ns": {"$regex": r"\.layer\."}, "docsExamined": {"$exists": True}}
    return sum([entry["docsExamined"] async for entry in store.db["system.profile"].find(query)])


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("limit", [1, 7, 20, 40, 64])
async def test_a_scan_reads_no_more_records_than_the_limit(profiled: Store, limit: int, backward: bool) -> None:
    layers = [numbered(3, "USD", 40), numbered(12, "USD"), numbered(50)]
    snapshot = await stored(profiled, layers)
    none = Selection(PriceFilter(currency="JPY"))
    with patch.object(scans, "FIRST_SCAN_RECORDS", 5), pytest.raises(ScanLimit):
        await LayerScanner(profiled.db, limit).page(snapshot, none, 10, backward=backward)
    assert await records_read(profiled) <= limit


async def test_each_record_is_read_once(profiled: Store) -> None:
    layers = [numbered(10, "USD", 10), numbered(50)]
    snapshot, scanner = await stored(profiled, layers), LayerScanner(profiled.db)
    with patch.multiple(scans, MAX_HELD_SKUS=8, MIN_RUN=4):
        assert len(await scanner.page(snapshot, CHEAPEST, 5)) == 5
        assert await records_read(profiled) <= 60 + 2 * 4 * 15  # rows beyond the end of a run are read again


async def test_concurrent_scans_are_limited(store: Store) -> None:
    snapshot, scanner = await stored(store, [numbered(3)]), LayerScanner(store.db)
    running = peak = 0
    check_size = scanner._check_size

    async def counted(*args: Any) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0)
        await check_size(*args)
        running -= 1

    with patch.object(scanner, "_check_size", counted):
        found = await asyncio.gather(*(scanner.page(snapshot, CHEAPEST, 1) for _ in range(20)))
    assert found == [["s002"]] * 20
    assert peak <= scans.MAX_CONCURRENT_SCANS
