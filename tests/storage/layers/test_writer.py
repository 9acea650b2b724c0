"""Layers: reads return what was inserted, once and in order, and the server refuses changes of a sealed layer."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from unittest.mock import AsyncMock, patch

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError
from storage.batches.comparison import Comparison
from storage.prices.checksum import Checksum, checksum

from storage import Store, Unavailable
from storage.errors import LeaseLost
from storage.layers.writer import FillResult
from storage.mongodb.connection import Collection, Document
from storage.prices.row_decoder import Slice, decode_slice
from tests.storage.factories import Row, document_of, layers, read_back, row, rows

LAYER = "one"
DOCUMENT_VALIDATION_FAILED = 121


async def fill(store: Store, batch: Sequence[Row], slice_rows: int = 1000) -> FillResult:
    """Insert rows in slices into the existing layer."""
    items = [msgspec.Raw(msgspec.json.encode(each)) for each in batch]

    async def slices() -> AsyncIterator[Slice]:
        for first in range(0, len(items), slice_rows):
            yield decode_slice(items[first : first + slice_rows], first)

    filled = FillResult()
    await store.layer_writer.fill(LAYER, slices(), filled, Comparison(store.layer_reader, None).add)
    return filled


def collection(store: Store) -> Collection:
    return store.db[f"layer.{LAYER}"]


def sum_of(batch: Sequence[Row]) -> Checksum:
    return checksum(document_of(each) for each in batch)


@pytest.fixture
async def layer(store: Store) -> Store:
    """A store with the empty layer `one`."""
    await store.layer_writer.create(LAYER)
    return store


# Filling


async def test_the_rows_read_back_equal_the_rows_received(layer: Store) -> None:
    batch = rows(2345)
    filled = await fill(layer, batch)
    assert await read_back(layer, LAYER) == filled.stored == sum_of(batch)


async def test_a_changed_price_changes_the_checksum(layer: Store) -> None:
    await fill(layer, rows(10))
    await collection(layer).update_one({"_id": "sku-000003"}, {"$set": {"currency": "USD"}})
    assert await read_back(layer, LAYER) != sum_of(rows(10))


async def test_a_lost_price_changes_the_checksum(layer: Store) -> None:
    await fill(layer, rows(10))
    await collection(layer).delete_one({"_id": "sku-000003"})
    assert await read_back(layer, LAYER) == sum_of([each for each in rows(10) if each["sku"] != "sku-000003"])


async def test_an_empty_layer_has_the_empty_checksum(layer: Store) -> None:
    assert await read_back(layer, LAYER) == Checksum()


async def test_creating_a_layer_again_changes_nothing(layer: Store) -> None:
    await fill(layer, rows(3))
    await layer.layer_writer.create(LAYER)
    assert (await read_back(layer, LAYER)).count == 3


async def test_a_slice_that_is_sent_again_counts_as_stored_and_changes_nothing(layer: Store) -> None:
    batch = rows(50)
    await fill(layer, batch[:30], 10)
    before = [document async for document in collection(layer).find()]
    again = await fill(layer, batch, 10)
    assert (again.stored, again.error_count) == (sum_of(batch), 0)
    assert await read_back(layer, LAYER) == sum_of(batch)
    assert [document async for document in collection(layer).find({"n": {"$lt": 30}})] == before


@pytest.mark.parametrize("slice_rows", [1, 3, 100])
async def test_a_duplicate_sku_is_reported_at_its_later_position(layer: Store, slice_rows: int) -> None:
    batch = rows(20)
    batch[17] = row("sku-000002", "9.99")
    filled = await fill(layer, batch, slice_rows)
    [error] = filled.errors
    assert (error.index, error.sku, error.field, error.code) == (17, "sku-000002", "sku", "DUPLICATE_SKU")
    assert "item 2" in error.message
    assert filled.error_count == 1
    assert filled.stored.count == 19


async def test_an_identical_row_is_a_duplicate_sku(layer: Store) -> None:
    filled = await fill(layer, [row("a"), row("b"), row("a")])
    assert [(error.index, error.code) for error in filled.errors] == [(2, "DUPLICATE_SKU")]


async def test_every_duplicate_within_a_slice_is_reported(layer: Store) -> None:
    filled = await fill(layer, [row("a"), row("b"), row("a"), row("a"), row("b")])
    assert [(error.index, error.sku) for error in filled.errors] == [(2, "a"), (3, "a"), (4, "b")]
    assert filled.error_count == 3


async def test_skus_differ_in_every_byte(layer: Store) -> None:
    skus = ["a", "A", "a ", " a", "á", "a\u0301", "a.b", "$a"]
    filled = await fill(layer, [row(sku) for sku in skus])
    assert filled.errors == []
    assert set(await layer.layer_reader.find([LAYER], skus)) == set(skus)


async def test_invalid_rows_are_reported_and_valid_ones_stored(layer: Store) -> None:
    batch = [row("a"), row("b", "-1"), row("c"), row("d", "x")]
    filled = await fill(layer, batch, 2)
    assert [(error.index, error.code) for error in filled.errors] == [(1, "AMOUNT_NEGATIVE"), (3, "AMOUNT_NOT_DECIMAL")]
    assert filled.stored.count == 2


# The seal


WRITES: dict[str, Callable[[Collection], Awaitable[object]]] = {
    "insert_one": lambda layer: layer.insert_one({"_id": "new"}),
    "insert_many": lambda layer: layer.insert_many([{"_id": "new"}]),
    "update_one": lambda layer: layer.update_one({"_id": "a"}, {"$set": {"currency": "USD"}}),
    "update_many": lambda layer: layer.update_many({}, {"$unset": {"amount": 1}}),
    "update by pipeline": lambda layer: layer.update_one({"_id": "a"}, [{"$set": {"currency": "USD"}}]),
    "upsert": lambda layer: layer.update_one({"_id": "new"}, {"$set": {"currency": "USD"}}, upsert=True),
    "replace_one": lambda layer: layer.replace_one({"_id": "a"}, {"currency": "USD"}),
    "find_one_and_update": lambda layer: layer.find_one_and_update({"_id": "a"}, {"$inc": {"n": 1}}),
    "find_one_and_replace": lambda layer: layer.find_one_and_replace({"_id": "a"}, {"currency": "USD"}),
    "bulk insert": lambda layer: layer.bulk_write([InsertOne[Document]({"_id": "new"})]),
    "bulk update": lambda layer: layer.bulk_write([UpdateOne({"_id": "a"}, {"$set": {"n": 7}})]),
}


def code_of(error: PyMongoError) -> int | None:
    if isinstance(error, BulkWriteError):
        code: int = error.details["writeErrors"][0]["code"]
        return code
    assert isinstance(error, OperationFailure), error
    return error.code


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_the_server_refuses_to_change_a_frozen_layer(
    layer: Store, write: Callable[[Collection], Awaitable[object]]
) -> None:
    await fill(layer, [row("a"), row("b")])
    await layer.layer_writer.freeze(LAYER)
    before = [document async for document in collection(layer).find()]
    with pytest.raises(PyMongoError) as refused:
        await write(collection(layer))
    assert code_of(refused.value) == DOCUMENT_VALIDATION_FAILED
    assert [document async for document in collection(layer).find()] == before


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_a_layer_that_is_not_frozen_can_be_changed(
    layer: Store, write: Callable[[Collection], Awaitable[object]]
) -> None:
    await fill(layer, [row("a"), row("b")])
    before = [document async for document in collection(layer).find()]
    await write(collection(layer))
    assert [document async for document in collection(layer).find()] != before


async def test_freezing_again_changes_nothing(layer: Store) -> None:
    await fill(layer, rows(3))
    await layer.layer_writer.freeze(LAYER)
    await layer.layer_writer.freeze(LAYER)
    assert await read_back(layer, LAYER) == sum_of(rows(3))


async def test_freezing_without_a_majority_fails(layer: Store) -> None:
    reply = {"ok": 1, "writeConcernError": {"code": 189, "errmsg": "Primary stepped down"}}
    with patch.object(type(layer.db), "command", AsyncMock(return_value=reply)), pytest.raises(Unavailable):
        await layer.layer_writer.freeze(LAYER)


async def test_inserting_into_a_layer_that_another_process_sealed_raises_lease_lost(layer: Store) -> None:
    await layer.layer_writer.freeze(LAYER)
    with pytest.raises(LeaseLost):
        await fill(layer, rows(3))


async def test_a_dropped_layer_is_gone(layer: Store) -> None:
    await fill(layer, rows(3))
    await layer.layer_writer.freeze(LAYER)
    await layer.layer_writer.drop(LAYER)
    assert await layers(layer) == set()


# Reading


async def test_prices_are_found_by_sku_and_missing_ones_left_out(layer: Store) -> None:
    await fill(layer, [row("a", "1.50"), row("b"), row("c")])
    found = await layer.layer_reader.find([LAYER], ["c", "a", "missing", "a"])
    assert {sku: str(price.amount) for sku, price in found.items()} == {"a": "1.50", "c": "1.00"}
    assert await layer.layer_reader.find([LAYER], []) == {}


KNOWN = sorted(["", "a", "aa", "ab", "b", "B", "é", "日本", "\uffff", "😀", "\u00a0", "a.b", "$a", "~", "0", "10", "9"])
SKUS = KNOWN[1:]
ENDS = st.none() | st.sampled_from([*KNOWN, "zz", "\U0010ffff"])


@given(
    limit=st.integers(1, len(SKUS) + 1),
    after=ENDS,
    before=ENDS,
    backward=st.booleans(),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_page_equals_that_of_a_sorted_list(
    layer: Store, limit: int, after: str | None, before: str | None, backward: bool
) -> None:
    if not await layer.layer_reader.find([LAYER], SKUS[:1]):
        await fill(layer, [row(sku) for sku in reversed(SKUS)])
    between = [sku for sku in SKUS if (after is None or sku > after) and (before is None or sku < before)]
    page = await layer.layer_reader.page([LAYER], limit, after=after, before=before, backward=backward)
    assert [price.sku for price in page] == (between[-limit:] if backward else between[:limit])


@pytest.mark.parametrize("size", [1, 2, 5, 100])
async def test_paging_visits_every_price_once_in_either_direction(layer: Store, size: int) -> None:
    await fill(layer, [row(sku) for sku in reversed(SKUS)])
    forward: list[str] = []
    while page := await layer.layer_reader.page([LAYER], size, after=forward[-1] if forward else None):
        forward += [price.sku for price in page]
    backward: list[str] = []
    while page := await layer.layer_reader.page([LAYER], size, before=backward[0] if backward else None, backward=True):
        backward = [price.sku for price in page] + backward
    assert forward == backward == SKUS


async def test_rows_of_the_maximum_size_are_inserted_in_commands_that_fit(layer: Store) -> None:
    large = [row(f"large-{number:04}", attributes={"text": "x" * 16_000}) for number in range(1500)]
    filled = await fill(layer, large)
    assert filled.stored.count == 1500
    assert await read_back(layer, LAYER) == filled.stored
