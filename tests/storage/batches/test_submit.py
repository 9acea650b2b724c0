"""Batches in one request: all or nothing, once for each idempotency key, with exact errors."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from pymongo.errors import WriteError

from storage import (
    BatchMode,
    BatchState,
    EventKind,
    FileRows,
    InvalidArgument,
    JsonRows,
    Layer,
    PriceListNotFound,
    PublishPolicy,
    Store,
)
from storage.batches import runs
from storage.batches.repository import KEY_DAYS
from storage.errors import Conflict, Corrupt, EmptyBatch, IdempotencyKeyReused, Interrupted
from storage.mongodb.connection import INDEXES, ITEM_ERROR_DAYS
from tests.storage import factories
from tests.storage.batches.yielding import steps_of
from tests.storage.factories import (
    amounts,
    create,
    current,
    errors_of,
    layer_ids,
    layers,
    order,
    published,
    row,
    rows,
    submit,
    versions,
)
from tests.storage.reading import source as file
from tests.waiting import until


async def kinds(store: Store) -> list[EventKind]:
    return [event.kind for event in await store.events.newest("retail", 1000)]


# All or nothing


async def test_all_rows_of_many_slices_are_published(store: Store) -> None:
    await create(store)
    batch = await published(store, rows(4321))
    assert (batch.expected, batch.received, batch.stored, batch.rows) == (4321, 4321, 4321, 4321)
    assert await amounts(store, 1) == {each["sku"]: "1.00" for each in rows(4321)}


async def test_with_one_invalid_row_nothing_changes(store: Store) -> None:
    await versions(store, 2)
    pointer, manifests, layers_before = (
        await store.price_lists.get("retail"),
        await store.snapshots.newest("retail", 10),
        await layers(store),
    )
    batch = await submit(store, [*rows(2500), row("bad", "-1")])
    assert (batch.state, batch.version, batch.error_count) == (BatchState.FAILED, None, 1)
    [error] = await errors_of(store, batch)
    assert (error.index, error.sku, error.field, error.code) == (2500, "bad", "amount", "AMOUNT_NEGATIVE")
    assert batch.refusal is not None
    assert batch.refusal.code == "BATCH_INVALID"
    assert batch.finished_at is not None
    after = await store.price_lists.get("retail")
    assert (after.current_version, after.last_version, after.pin) == (
        pointer.current_version,
        pointer.last_version,
        None,
    )
    assert await store.snapshots.newest("retail", 10) == manifests
    assert await layers(store) == layers_before
    assert (await kinds(store))[0] is EventKind.FAILED


async def test_the_first_ten_thousand_errors_are_kept_and_all_are_counted(store: Store) -> None:
    await create(store)
    batch = await submit(store, [row(f"sku-{n}", "1" if n % 2 else "x") for n in range(20_500)])
    assert batch.error_count == 10_250
    assert [error.index for error in await errors_of(store, batch)] == list(range(0, 20_000, 2))


async def test_errors_are_in_the_order_of_the_items_whatever_finds_them(store: Store) -> None:
    await create(store)
    prices = rows(600)
    prices[7], prices[9] = row("sku-000003"), row("a", "x")
    prices[502], prices[503] = row("b", "x"), row("sku-000004")
    batch = await submit(store, prices)
    assert [(error.index, error.code) for error in await errors_of(store, batch)] == [
        (7, "DUPLICATE_SKU"),
        (9, "AMOUNT_NOT_DECIMAL"),
        (502, "AMOUNT_NOT_DECIMAL"),
        (503, "DUPLICATE_SKU"),
    ]


def test_errors_are_stored_longer_than_the_key_of_their_batch() -> None:
    assert ITEM_ERROR_DAYS > KEY_DAYS
    [expiry] = INDEXES["item_errors"]
    assert expiry.document["expireAfterSeconds"] == ITEM_ERROR_DAYS * 86_400


async def test_a_batch_sent_again_has_the_same_errors(store: Store) -> None:
    await create(store)
    prices = [row(f"sku-{n}", "x") for n in range(1200)]
    first = await submit(store, prices, key="monday")
    again = await submit(store, prices, key="monday")
    assert again == first
    assert len(await errors_of(store, again)) == 1200


async def test_a_duplicate_sku_is_an_error_at_its_second_index_also_across_slices(store: Store) -> None:
    await create(store)
    prices = rows(3500)
    prices[3401] = row("sku-000002", "2")
    prices[1207] = row("sku-001200", "2")
    batch = await submit(store, prices)
    assert [(error.index, error.sku, error.code) for error in await errors_of(store, batch)] == [
        (1207, "sku-001200", "DUPLICATE_SKU"),
        (3401, "sku-000002", "DUPLICATE_SKU"),
    ]
    assert (batch.state, batch.error_count) == (BatchState.FAILED, 2)


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage a run of every 500 rows."""
    monkeypatch.setattr(runs, "MAX_RUN_ROWS", 500)


@pytest.mark.usefixtures("small_runs")
async def test_more_rows_than_a_run_has_are_staged_and_merged(store: Store) -> None:
    await create(store)
    shuffled = random.Random(1).sample(rows(4321), 4321)
    batch = await published(store, shuffled)
    assert (batch.received, batch.stored, batch.rows) == (4321, 4321, 4321)
    assert len(batch.runs) > 1
    assert await amounts(store, 1) == {each["sku"]: "1.00" for each in shuffled}
    assert batch.layer == replace_id(batch.layer, (await published(store, rows(4321))).layer), "the same checksum"
    assert await store.staging.batches() == []


def replace_id(layer: Layer | None, other: Layer | None) -> Layer:
    assert layer is not None
    assert other is not None
    return msgspec.structs.replace(other, id=layer.id)


@pytest.mark.usefixtures("small_runs")
@pytest.mark.parametrize("invalid", [False, True])
async def test_a_duplicate_sku_is_found_in_another_run_with_both_places(store: Store, invalid: bool) -> None:
    await create(store)
    prices = rows(3500)
    prices[3401] = row("sku-000002", "2")
    prices[1207] = row("sku-001200", "2")
    if invalid:
        prices[5] = row("bad", "-1")
    batch = await submit(store, prices, key="monday")
    expected = [(5, "bad", "AMOUNT_NEGATIVE")] * invalid + [
        (1207, "sku-001200", "DUPLICATE_SKU"),
        (3401, "sku-000002", "DUPLICATE_SKU"),
    ]
    errors = await errors_of(store, batch)
    assert [(error.index, error.sku, error.code) for error in errors] == expected
    assert errors[-1].message == "The sku is also that of item 2. Keep one of the two."
    assert (batch.state, batch.error_count) == (BatchState.FAILED, len(expected))
    assert batch.received == 3500
    assert batch.refusal is not None
    assert f"{len(expected)} of 3500 items" in batch.refusal.message
    assert await layers(store) == set()
    assert await store.staging.batches() == []
    assert await submit(store, prices, key="monday") == batch


async def test_a_failed_batch_is_stored_with_its_errors(store: Store) -> None:
    await create(store)
    batch = await factories.failed(store)
    assert await store.batches.get(batch.id) == batch


async def test_rows_that_are_not_read_back_as_received_are_not_published(store: Store) -> None:
    await versions(store, 1)

    freeze = store.layer_writer.freeze

    async def damaging(layer_id: str) -> None:
        await store.layers_db[f"layer.{layer_id}"].update_one({"_id": "a"}, {"$set": {"data": b"x"}})
        await freeze(layer_id)

    with patch.object(store.layer_writer, "freeze", damaging), pytest.raises(Corrupt):
        await submit(store, [row("a", "2")], key="k")
    batch = await store.batches.by_key("retail", "k")
    assert batch is not None
    assert batch.state is BatchState.FAILED
    assert batch.refusal is not None
    assert batch.refusal.code == "CORRUPT"
    assert await current(store) == 1


async def test_a_published_layer_is_frozen(store: Store) -> None:
    await create(store)
    batch = await published(store, [row("a")])
    assert batch.layer is not None
    layer = store.layers_db[f"layer.{batch.layer.id}"]
    for change in (layer.insert_one({"_id": "b"}), layer.update_one({"_id": "a"}, {"$set": {"data": b""}})):
        with pytest.raises(WriteError, match="validation"):
            await change


# Refused without a batch


async def test_a_batch_for_a_list_that_does_not_exist_is_refused(store: Store) -> None:
    with pytest.raises(PriceListNotFound):
        await submit(store, [row("a")], "nope")
    assert await store.batches.count() == 0


async def test_a_batch_without_rows_is_refused(store: Store) -> None:
    await create(store)
    with pytest.raises(EmptyBatch):
        await submit(store, [])
    assert await store.batches.count() == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "\0"])
async def test_an_invalid_idempotency_key_is_refused(store: Store, key: str) -> None:
    await create(store)
    with pytest.raises(InvalidArgument, match="idempotency key"):
        await submit(store, [row("a")], key=key)
    assert await store.batches.count() == 0


@pytest.mark.parametrize("label", ["", "x" * 256])
async def test_an_invalid_label_is_refused(store: Store, label: str) -> None:
    await create(store)
    with pytest.raises(InvalidArgument, match="label"):
        await submit(store, [row("a")], label=label)


async def test_a_batch_that_expects_another_version_is_refused_before_its_rows_are_stored(store: Store) -> None:
    await versions(store, 2)
    before = await store.price_lists.get("retail")
    for expected in (1, 3, 0):
        with pytest.raises(Conflict) as refused:
            await submit(store, [row("a")], expected_version=expected)
        assert (refused.value.expected, refused.value.found) == (expected, 2)
    assert await store.batches.count() == 2
    assert await store.price_lists.get("retail") == before


async def test_a_list_without_a_version_meets_no_expected_version(store: Store) -> None:
    await create(store)
    with pytest.raises(Conflict) as refused:
        await submit(store, [row("a")], expected_version=1)
    assert refused.value.found is None


async def test_zero_expects_that_a_list_has_no_version_yet(store: Store) -> None:
    await create(store)
    assert (await submit(store, [row("a")], expected_version=0)).version == 1
    with pytest.raises(Conflict, match="No version of 'retail' was expected to be current, but version 1 is"):
        await submit(store, [row("b")], expected_version=0)


# Idempotency


async def test_twenty_concurrent_requests_with_one_key_make_one_version(store: Store) -> None:
    await create(store)
    batches = await asyncio.gather(*(submit(store, rows(1500), key="monday") for _ in range(20)))
    assert {(batch.id, batch.state, batch.version) for batch in batches} == {(batches[0].id, BatchState.PUBLISHED, 1)}
    assert await store.batches.count() == 1
    assert await store.snapshots.count("retail") == 1
    assert await layers(store) == layer_ids(batches[:1])
    assert await kinds(store) == [EventKind.PUBLISHED, EventKind.CREATED]


async def test_the_same_key_returns_the_same_batch_in_another_process(store: Store, other_store: Store) -> None:
    await create(store)
    batches = await asyncio.gather(
        *(submit(each, rows(1500), key="monday") for each in (store, other_store) for _ in range(3))
    )
    assert {(batch.id, batch.version) for batch in batches} == {(batches[0].id, 1)}


async def test_the_same_key_returns_the_same_batch_after_later_publishes(store: Store) -> None:
    await create(store)
    first = await submit(store, [row("a", "1")], key="monday")
    await published(store, [row("a", "2")])
    assert await submit(store, [row("a", "1")], key="monday") == first
    assert await current(store) == 2


async def test_the_same_key_returns_a_published_batch_whose_expected_version_is_outdated(store: Store) -> None:
    await versions(store, 1)
    first = await submit(store, [row("a", "2")], key="monday", expected_version=1)
    assert await submit(store, [row("a", "2")], key="monday", expected_version=1) == first


async def test_the_same_key_returns_a_failed_batch_with_its_errors(store: Store) -> None:
    await create(store)
    assert await factories.failed(store, key="monday") == await factories.failed(store, key="monday")
    assert (await kinds(store)).count(EventKind.FAILED) == 1


async def test_the_same_key_with_other_rows_is_refused(store: Store) -> None:
    await create(store)
    first = await submit(store, [row("a", "1")], key="monday")
    with pytest.raises(IdempotencyKeyReused, match=first.id):
        await submit(store, [row("a", "2")], key="monday")
    assert await store.snapshots.count("retail") == 1


async def test_the_key_of_a_file_with_invalid_items_is_refused_for_the_corrected_file(store: Store) -> None:
    await create(store)
    monday = order(key="monday")
    invalid, corrected = b"sku,amount,currency\na,x,EUR\n", b"sku,amount,currency\na,1,EUR\n"
    first = await store.submitter.submit(monday, file("prices.csv", invalid))
    assert (first.state, first.error_count) == (BatchState.FAILED, 1)
    assert await store.submitter.submit(monday, file("prices.csv", invalid)) == first
    with pytest.raises(IdempotencyKeyReused, match=first.id):
        await store.submitter.submit(monday, file("prices.csv", corrected))


@pytest.mark.parametrize("count", [10, 3000], ids=["in one run", "in several runs"])
@pytest.mark.parametrize("bad", ["", "bad,-1,EUR\n"], ids=["duplicates only", "with another error"])
@pytest.mark.usefixtures("small_runs")
async def test_a_duplicate_sku_in_a_file_has_both_lines(store: Store, count: int, bad: str) -> None:
    await create(store)
    lines = ["sku,amount,currency\n", "\n", *(f"{number},1,EUR\n" for number in range(count)), "\n", "7,2,EUR\n", bad]
    rows_of_file = file("p.csv", "".join(lines).encode())
    failed = await store.submitter.submit(replace(order(), mode=BatchMode.MERGE), rows_of_file, ["0"])
    duplicates = [error for error in await errors_of(store, failed) if error.code == "DUPLICATE_SKU"]
    removal = count + 1 + bool(bad)
    assert [(error.index, error.line, error.duplicate_of, error.message) for error in duplicates] == [
        (count, count + 4, 7, "The sku is also on line 10. Keep one of the two lines."),
        (removal, None, 0, "The sku is also that of item 0. Keep one of the two."),
    ]


@pytest.mark.parametrize("bad", ["", "bad,-1,EUR\n"], ids=["duplicates only", "with another error"])
@pytest.mark.usefixtures("small_runs")
async def test_other_tasks_run_while_the_lines_of_duplicate_skus_are_found(store: Store, bad: str) -> None:
    await create(store)
    lines = [f"{number:04},1,EUR\n" for number in range(1500)]
    rows_of_file, found = file("p.csv", "".join(["sku,amount,currency\n", bad, *lines, *lines]).encode()), 0
    line_of = rows_of_file.line_of

    def counted(index: int) -> int | None:
        nonlocal found
        found += 1
        return line_of(index)

    async with steps_of(lambda: found) as steps:
        with patch.object(rows_of_file, "line_of", counted):
            failed = await store.submitter.submit(order(), rows_of_file)
    assert failed.error_count == 1500 + bool(bad)
    assert (sum(steps), max(steps)) == (3000, 1000), "two lines of 500 errors"


@pytest.mark.usefixtures("small_runs")
async def test_another_file_under_the_key_of_one_that_broke_off_is_taken_cleanly(store: Store) -> None:
    lines = [f'{{"sku":"old-{number:05}","amount":"1","currency":"EUR"}}\n'.encode() for number in range(20_000)]

    async def broken_off() -> AsyncIterator[bytes]:
        yield b"".join(lines)
        await until(lambda: _is_staged(store), "staged")
        raise Interrupted("connection lost")

    await create(store)
    with pytest.raises(Interrupted):
        await store.submitter.submit(order(key="monday"), FileRows("prices.ndjson", broken_off()))
    other = await store.submitter.submit(order(key="monday"), file("prices.csv", b"sku,amount,currency\nnew,2,EUR\n"))
    assert (other.state, other.received, other.rows) == (BatchState.PUBLISHED, 1, 1)
    assert await amounts(store, 1) == {"new": "2"}
    await store.garbage_collector.collect()
    assert await store.staging.batches() == []


async def _is_staged(store: Store) -> bool:
    return bool(await store.staging.batches())


@pytest.mark.parametrize("change", [{"label": "x"}, {"expected_version": 1}, {"publish": PublishPolicy.ON_APPROVAL}])
async def test_the_same_key_with_another_order_is_refused(store: Store, change: dict[str, Any]) -> None:
    await create(store)
    await submit(store, [row("a")], key="monday")
    with pytest.raises(IdempotencyKeyReused):
        await submit(store, [row("a")], key="monday", **change)


async def test_a_key_belongs_to_one_list(store: Store) -> None:
    for name in ("retail", "wholesale"):
        await create(store, name)
        assert (await submit(store, [row("a", "1")], name, "monday")).state is BatchState.PUBLISHED
    assert await store.batches.count() == 2


# Takeover


async def test_a_batch_whose_process_ended_before_its_rows_were_stored_is_finished_when_it_is_sent_again(
    store: Store,
) -> None:
    await versions(store, 1)
    left = await factories.left_open(store, rows(1200), "monday")
    assert left.state is BatchState.OPEN
    batch = await submit(store, rows(1200), key="monday")
    assert (batch.id, batch.state, batch.version, batch.rows) == (left.id, BatchState.PUBLISHED, 2, 1200)


async def test_a_batch_whose_process_ended_before_it_was_published_is_finished_when_it_is_sent_again(
    store: Store,
) -> None:
    await versions(store, 1)
    left = await factories.left_sealing(store, rows(1200), "monday")
    assert left.state is BatchState.SEALING
    batch = await submit(store, rows(1200), key="monday")
    assert (batch.id, batch.state, batch.version, batch.checksum) == (left.id, BatchState.PUBLISHED, 2, left.checksum)


async def test_one_of_many_concurrent_requests_takes_a_batch_over(store: Store) -> None:
    await create(store)
    await factories.left_sealing(store, [row("a")], "monday")
    batches = await asyncio.gather(*(submit(store, [row("a")], key="monday") for _ in range(8)))
    assert {batch.version for batch in batches} == {1}
    assert await kinds(store) == [EventKind.PUBLISHED, EventKind.CREATED]


async def test_the_type_of_the_buffer_of_rows_does_not_matter(store: Store) -> None:
    await create(store)
    text = msgspec.json.encode([row("a", "1.50")])
    batch = await store.submitter.submit(order(key="monday"), await JsonRows.read(memoryview(text)))
    assert await store.submitter.submit(order(key="monday"), await JsonRows.read(text)) == batch
    assert await amounts(store, 1) == {"a": "1.50"}
