"""A batch in one request: all of it or nothing, once for each idempotency key, and told exactly what was wrong."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from storage import BatchState, EventKind, InvalidArgument, JsonRows, PriceListNotFound, PublishPolicy, Store
from storage.errors import Conflict, Corrupt, EmptyBatch, IdempotencyKeyReused
from tests.storage import factories
from tests.storage.factories import amounts, create, current, layers, order, published, row, rows, submit, versions
from tests.storage.reading import source as file


async def kinds(store: Store) -> list[EventKind]:
    return [event.kind for event in await store.events.newest("retail", 1000)]


# All or nothing


async def test_all_rows_of_many_slices_are_published(store: Store) -> None:
    await create(store)
    batch = await published(store, rows(4321))
    assert (batch.expected, batch.received, batch.stored, batch.rows) == (4321, 4321, 4321, 4321)
    assert await amounts(store, 1) == {each["sku"]: "1.00" for each in rows(4321)}


async def test_one_bad_row_and_nothing_changes(store: Store) -> None:
    await versions(store, 2)
    pointer, manifests, there = (
        await store.price_lists.get("retail"),
        await store.snapshots.newest("retail", 10),
        await layers(store),
    )
    batch = await submit(store, [*rows(2500), row("bad", "-1")])
    assert (batch.state, batch.version, batch.error_count) == (BatchState.FAILED, None, 1)
    [error] = batch.errors
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
    assert await layers(store) == there
    assert (await kinds(store))[0] is EventKind.FAILED


async def test_of_very_many_errors_the_first_hundred_are_kept_and_all_are_counted(store: Store) -> None:
    await create(store)
    batch = await submit(store, [row(f"sku-{n}", "1" if n % 2 else "x") for n in range(5000)])
    assert batch.error_count == 2500
    assert [error.index for error in batch.errors] == list(range(0, 200, 2))


async def test_a_sku_sent_twice_is_told_at_its_later_place_also_across_slices(store: Store) -> None:
    await create(store)
    prices = rows(3500)
    prices[3401] = row("sku-000002", "2")
    prices[1207] = row("sku-001200", "2")
    batch = await submit(store, prices)
    assert [(error.index, error.sku, error.code) for error in batch.errors] == [
        (1207, "sku-001200", "DUPLICATE_SKU"),
        (3401, "sku-000002", "DUPLICATE_SKU"),
    ]
    assert (batch.state, batch.error_count) == (BatchState.FAILED, 2)


async def test_what_a_failed_batch_said_is_kept(store: Store) -> None:
    await create(store)
    batch = await factories.failed(store)
    assert await store.batches.get(batch.id) == batch


async def test_rows_that_were_not_stored_as_they_were_received_are_not_published(store: Store) -> None:
    await versions(store, 1)

    async def nothing(layer: str) -> AsyncIterator[list[bytes]]:
        nothing_there: tuple[list[bytes], ...] = ()
        for run in nothing_there:
            yield run

    with patch.object(store.layer_reader, "runs", nothing), pytest.raises(Corrupt):
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
    [collection] = await (await store.db.list_collections(filter={"name": f"layer.{batch.layer}"})).to_list()
    assert collection["options"]["validator"] == {"$nor": [{}]}


# What is refused before there is a batch


async def test_a_list_that_does_not_exist_takes_no_batch(store: Store) -> None:
    with pytest.raises(PriceListNotFound):
        await submit(store, [row("a")], "nope")
    assert await store.batches.count() == 0


async def test_a_batch_without_rows_is_none(store: Store) -> None:
    await create(store)
    with pytest.raises(EmptyBatch):
        await submit(store, [])
    assert await store.batches.count() == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "\0"])
async def test_a_key_that_cannot_be_one_is_refused(store: Store, key: str) -> None:
    await create(store)
    with pytest.raises(InvalidArgument, match="idempotency key"):
        await submit(store, [row("a")], key=key)
    assert await store.batches.count() == 0


@pytest.mark.parametrize("label", ["", "x" * 256])
async def test_a_label_that_cannot_be_one_is_refused(store: Store, label: str) -> None:
    await create(store)
    with pytest.raises(InvalidArgument, match="label"):
        await submit(store, [row("a")], label=label)


async def test_a_batch_that_expects_another_version_than_the_current_one_is_refused_at_once(store: Store) -> None:
    await versions(store, 2)
    before = await store.price_lists.get("retail")
    for expected in (1, 3, 0):
        with pytest.raises(Conflict) as refused:
            await submit(store, [row("a")], expected_version=expected)
        assert (refused.value.expected, refused.value.found) == (expected, 2)
    assert await store.batches.count() == 2
    assert await store.price_lists.get("retail") == before


async def test_an_empty_list_is_not_at_any_version(store: Store) -> None:
    await create(store)
    with pytest.raises(Conflict) as refused:
        await submit(store, [row("a")], expected_version=1)
    assert refused.value.found is None


# Once


async def test_the_same_key_twenty_times_at_once_makes_one_version(store: Store) -> None:
    await create(store)
    batches = await asyncio.gather(*(submit(store, rows(1500), key="monday") for _ in range(20)))
    assert {(batch.id, batch.state, batch.version) for batch in batches} == {(batches[0].id, BatchState.PUBLISHED, 1)}
    assert await store.batches.count() == 1
    assert await store.snapshots.count("retail") == 1
    assert await layers(store) == {batches[0].layer}
    assert await kinds(store) == [EventKind.PUBLISHED, EventKind.CREATED]


async def test_the_same_key_from_another_process_gives_the_same_batch(store: Store, other_store: Store) -> None:
    await create(store)
    batches = await asyncio.gather(
        *(submit(each, rows(1500), key="monday") for each in (store, other_store) for _ in range(3))
    )
    assert {(batch.id, batch.version) for batch in batches} == {(batches[0].id, 1)}


async def test_the_same_key_later_gives_the_same_batch_whatever_was_published_since(store: Store) -> None:
    await create(store)
    first = await submit(store, [row("a", "1")], key="monday")
    await published(store, [row("a", "2")])
    assert await submit(store, [row("a", "1")], key="monday") == first
    assert await current(store) == 2


async def test_a_batch_that_was_published_is_given_again_although_its_expectation_is_past(store: Store) -> None:
    await versions(store, 1)
    first = await submit(store, [row("a", "2")], key="monday", expected_version=1)
    assert await submit(store, [row("a", "2")], key="monday", expected_version=1) == first


async def test_a_failed_batch_is_given_again_with_its_errors(store: Store) -> None:
    await create(store)
    assert await factories.failed(store, key="monday") == await factories.failed(store, key="monday")
    assert (await kinds(store)).count(EventKind.FAILED) == 1


async def test_the_same_key_with_other_rows_is_refused(store: Store) -> None:
    await create(store)
    first = await submit(store, [row("a", "1")], key="monday")
    with pytest.raises(IdempotencyKeyReused, match=first.id):
        await submit(store, [row("a", "2")], key="monday")
    assert await store.snapshots.count("retail") == 1


async def test_the_key_of_a_file_with_bad_items_is_not_that_of_the_mended_file(store: Store) -> None:
    await create(store)
    given, bad, mended = order(key="monday"), b"sku,amount,currency\na,x,EUR\n", b"sku,amount,currency\na,1,EUR\n"
    first = await store.submitter.submit(given, file("prices.csv", bad))
    assert (first.state, first.error_count) == (BatchState.FAILED, 1)
    assert await store.submitter.submit(given, file("prices.csv", bad)) == first
    with pytest.raises(IdempotencyKeyReused, match=first.id):
        await store.submitter.submit(given, file("prices.csv", mended))


@pytest.mark.parametrize("change", [{"label": "x"}, {"expected_version": 1}, {"publish": PublishPolicy.ON_APPROVAL}])
async def test_the_same_key_with_another_order_is_refused(store: Store, change: dict[str, Any]) -> None:
    await create(store)
    await submit(store, [row("a")], key="monday")
    with pytest.raises(IdempotencyKeyReused):
        await submit(store, [row("a")], key="monday", **change)


async def test_a_key_is_of_one_list(store: Store) -> None:
    for name in ("retail", "wholesale"):
        await create(store, name)
        assert (await submit(store, [row("a", "1")], name, "monday")).state is BatchState.PUBLISHED
    assert await store.batches.count() == 2


# Taken over


async def test_a_batch_whose_process_ended_before_its_rows_were_stored_is_finished_by_who_sends_it_again(
    store: Store,
) -> None:
    await versions(store, 1)
    left = await factories.left_open(store, rows(1200), "monday")
    assert left.state is BatchState.OPEN
    batch = await submit(store, rows(1200), key="monday")
    assert (batch.id, batch.state, batch.version, batch.rows) == (left.id, BatchState.PUBLISHED, 2, 1200)


async def test_a_batch_whose_process_ended_before_it_was_published_is_finished_by_who_sends_it_again(
    store: Store,
) -> None:
    await versions(store, 1)
    left = await factories.left_sealing(store, rows(1200), "monday")
    assert left.state is BatchState.SEALING
    batch = await submit(store, rows(1200), key="monday")
    assert (batch.id, batch.state, batch.version, batch.checksum) == (left.id, BatchState.PUBLISHED, 2, left.checksum)


async def test_one_of_many_takes_a_batch_over(store: Store) -> None:
    await create(store)
    await factories.left_sealing(store, [row("a")], "monday")
    batches = await asyncio.gather(*(submit(store, [row("a")], key="monday") for _ in range(8)))
    assert {batch.version for batch in batches} == {1}
    assert await kinds(store) == [EventKind.PUBLISHED, EventKind.CREATED]


async def test_rows_may_be_sent_as_any_bytes(store: Store) -> None:
    await create(store)
    text = msgspec.json.encode([row("a", "1.50")])
    batch = await store.submitter.submit(order(key="monday"), await JsonRows.read(memoryview(text)))
    assert await store.submitter.submit(order(key="monday"), await JsonRows.read(text)) == batch
    assert await amounts(store, 1) == {"a": "1.50"}
