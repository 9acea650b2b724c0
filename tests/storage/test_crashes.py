"""A process is killed at any step: readers keep the old version, and sending the batch again finishes it once."""

from unittest.mock import patch

import pytest

from storage import BatchState, EventKind, Store
from tests.storage import crash_at
from tests.storage.crash_at import BATCHES, in_parts
from tests.storage.dying import run_until_killed
from tests.storage.factories import (
    amounts,
    current,
    errors_of,
    expire_leases,
    layer_ids,
    layers,
    order,
    prove,
    published,
    row,
    submit,
    versions,
)

NEW = {each["sku"]: "2.00" for each in BATCHES["good"]}


pytestmark = pytest.mark.usefixtures("short_transactions")


async def crash(uri: str, store: Store, batch: str, point: str) -> None:
    """Send the batch from another process, which dies at the point."""
    await run_until_killed(crash_at.main, uri, store.db.name, "monday", batch, point)


@pytest.mark.parametrize(
    "point",
    [
        "BatchRepository.open:1:before",
        "BatchRepository.open:1:after",
        "LayerWriter.create:1:before",
        "LayerWriter.create:1:after",
        "LayerWriter.write:1:after",
        "BatchRepository.advance:1:before",
        "BatchRepository.advance:1:after",
        "LayerWriter.freeze:1:before",
        "LayerWriter.freeze:1:after",
        "LayerProver.prove:1:after",
        "BatchLifecycle._publish:1:before",
        "BatchRepository.advance:2:before",
        "BatchRepository.advance:2:after",
        "BatchLifecycle._publish:1:after",
    ],
)
async def test_a_batch_whose_process_was_killed_is_finished_once_when_it_is_sent_again(
    mongodb_uri: str, store: Store, point: str
) -> None:
    await finish_once(mongodb_uri, store, "good", point)


@pytest.mark.parametrize(
    "point",
    [
        "StagingRepository.write:1:before",
        "StagingRepository.write:1:after",
        "StagingRepository.write:5:after",
        "BatchRepository.advance:1:before",
        "BatchRepository.advance:1:after",
        "LayerWriter.create:1:after",
        "LayerWriter.write:1:after",
        "LayerWriter.freeze:1:after",
        "LayerProver.prove:1:after",
        "BatchRepository.advance:2:before",
        "BatchLifecycle._publish:1:after",
    ],
)
async def test_a_staged_batch_whose_process_was_killed_is_merged_and_finished_once_when_it_is_sent_again(
    mongodb_uri: str, store: Store, point: str
) -> None:
    await finish_once(mongodb_uri, store, "staged", point)
    await store.garbage_collector.collect()
    assert await store.staging.batches() == []


async def finish_once(mongodb_uri: str, store: Store, batch: str, point: str) -> None:
    await versions(store, 1)
    await crash(mongodb_uri, store, batch, point)

    committed = point == "BatchLifecycle._publish:1:after"
    assert await current(store) == (2 if committed else 1)
    assert await amounts(store, 1) == {"a": "1"}
    if committed:
        assert await amounts(store, 2) == NEW

    between = await published(store, [row("b", "7")])
    assert between.version == (3 if committed else 2)

    await expire_leases(store)
    again, once_more = [await submit(store, BATCHES["good"], key="monday") for _ in range(2)]
    assert again == once_more
    assert (again.state, again.version) == (BatchState.PUBLISHED, 2 if committed else 3)
    assert await amounts(store, again.version or 0) == NEW
    assert await current(store) == 3
    assert await store.snapshots.count("retail") == 3

    await prove(store, again.layer)
    assert await layers(store) >= layer_ids(await store.batches.newest(10))
    with patch.object(store.garbage_collector, "_orphan_seconds", 0):
        await store.garbage_collector.collect()
    assert await layers(store) == layer_ids(await store.batches.newest(10)), "no other layers are left"
    events = await store.events.newest("retail", 10)
    assert [event.kind for event in events] == [EventKind.PUBLISHED] * 3 + [EventKind.CREATED]


@pytest.mark.parametrize(
    "point",
    [
        "BatchLifecycle._end:1:before",
        "BatchRepository.advance:1:after",
    ],
)
async def test_an_invalid_batch_whose_process_was_killed_fails_once(mongodb_uri: str, store: Store, point: str) -> None:
    await versions(store, 1)
    await crash(mongodb_uri, store, "bad", point)
    await expire_leases(store)
    again, once_more = [await submit(store, BATCHES["bad"], key="monday") for _ in range(2)]
    assert again == once_more
    assert (again.state, again.version, again.error_count) == (BatchState.FAILED, None, 1)
    assert [(error.index, error.sku) for error in await errors_of(store, again)] == [(500, "bad")]
    assert await current(store) == 1
    events = await store.events.newest("retail", 10)
    assert [event.kind for event in events] == [EventKind.FAILED, EventKind.PUBLISHED, EventKind.CREATED]


@pytest.mark.parametrize(
    "point",
    [
        "BatchRepository.open:1:after",
        "StagingRepository.write:1:before",
        "StagingRepository.write:1:after",
        "PartRepository.add:1:after",
        "StagingRepository.write:2:after",
        "PartRepository.add:2:after",
        "BatchRepository.lease:1:after",
        "BatchRepository.advance:1:before",
        "BatchRepository.advance:1:after",
        "LayerWriter.create:1:after",
        "LayerWriter.write:1:after",
        "LayerWriter.freeze:1:after",
        "BatchLifecycle._publish:1:before",
        "BatchRepository.advance:2:after",
        "BatchLifecycle._publish:1:after",
    ],
)
async def test_a_batch_in_parts_whose_process_was_killed_is_published_once_when_it_is_continued(
    mongodb_uri: str, store: Store, point: str
) -> None:
    await versions(store, 1)
    await crash(mongodb_uri, store, "parts", point)
    assert await amounts(store, 1) == {"a": "1"}
    await expire_leases(store)
    batch = await in_parts(store, "monday")
    if batch.state is BatchState.SEALING:  # it was committed; another process takes it over
        await store.worker._take_over()
        batch = await in_parts(store, "monday")
    assert (batch.state, batch.version, batch.rows) == (BatchState.PUBLISHED, 2, 500)
    assert await amounts(store, 2) == NEW
    assert await store.snapshots.count("retail") == 2
    await prove(store, batch.layer)


@pytest.mark.parametrize(
    "point",
    [
        "BatchRepository.lease:1:after",
        "BatchLifecycle._end:1:before",
        "BatchRepository.advance:1:after",
        "BatchLifecycle._end:1:after",
        "StagingRepository.drop:1:after",
        "PartRepository.drop:1:before",
    ],
)
async def test_an_abort_whose_process_was_killed_is_finished_by_another_abort_or_the_garbage_collector(
    mongodb_uri: str, store: Store, point: str
) -> None:
    await versions(store, 1)
    await crash(mongodb_uri, store, "aborted", point)
    batch = await store.multipart.open(order(key="monday"))
    if batch.state is BatchState.OPEN:
        batch = await store.multipart.abort(batch.id, by="integrator", reason=None)
    await store.garbage_collector.collect()
    assert batch.state is BatchState.ABORTED
    assert await store.staging.batches() == []
    assert await store.parts.by_batch(batch.id) == []
    assert await current(store) == 1
    kinds = [event.kind for event in await store.events.newest("retail", 10)]
    assert kinds == [EventKind.ABORTED, EventKind.PUBLISHED, EventKind.CREATED]
