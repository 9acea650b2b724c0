"""Concurrent moves of one pointer: one after the other, each with an event; of equal expectations one wins."""

import asyncio
from typing import Any
from unittest.mock import patch

from storage import Batch, BatchState, PriceList, Store
from storage.errors import Conflict
from tests.storage.factories import amounts, create, current, layer_ids, layers, row, snapshot, submit, versions


async def submit_concurrently(store: Store, count: int, expected_version: int | None = None) -> list[Batch]:
    """Submit batches that are all sealed before any is published; number n has the price n.

    They do not queue for long, as those of several processes do not.
    """
    ready = asyncio.Barrier(count)
    publish = store.lifecycle._publish
    arrived = set()

    async def publish_together(batch: Batch, *arguments: Any) -> Batch:
        if batch.id not in arrived:  # a batch that lost the race is rebased, and published again
            arrived.add(batch.id)
            await ready.wait()
        return await publish(batch, *arguments)

    with (
        patch.object(store.lifecycle, "_publish", publish_together),
        patch("storage.batches.turns.MAX_TURN_WAIT_SECONDS", 0.2),
    ):
        return await asyncio.gather(
            *(submit(store, [row("a", str(n))], expected_version=expected_version) for n in range(count))
        )


async def test_of_concurrent_batches_with_the_same_expected_version_one_is_published(store: Store) -> None:
    await versions(store, 1)
    batches = await submit_concurrently(store, 6, expected_version=1)
    [winner] = [batch for batch in batches if batch.state is BatchState.PUBLISHED]
    assert winner.version == await current(store) == 2
    assert await amounts(store, 2) == {"a": str(batches.index(winner))}
    for batch in batches:
        if batch is not winner:
            assert (batch.state, batch.version) == (BatchState.REJECTED, None)
            assert batch.refusal is not None
            assert batch.refusal.code == "CONFLICT"
            assert "Version 1 " in batch.refusal.message
            assert "version 2 is" in batch.refusal.message
    assert await store.snapshots.count("retail") == 2


async def test_concurrent_batches_without_an_expected_version_are_published_one_after_the_other(store: Store) -> None:
    await create(store)
    batches = await submit_concurrently(store, 10)
    assert {batch.state for batch in batches} == {BatchState.PUBLISHED}
    assert sorted(batch.version or 0 for batch in batches) == list(range(1, 11))
    assert await current(store) == 10
    for number, batch in enumerate(batches):
        assert batch.version is not None
        assert await amounts(store, batch.version) == {"a": str(number)}
        assert (await snapshot(store, batch.version)).base == (batch.version - 1 or None)
    assert await layers(store) == layer_ids(batches)


async def test_a_rollback_among_concurrent_batches_holds(store: Store) -> None:
    await versions(store, 2)
    rollback = store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    batches, _ = await asyncio.gather(submit_concurrently(store, 5), rollback)
    assert await current(store) == 1, "later batches wait, earlier ones are rolled back"
    assert sorted(batch.version or 0 for batch in batches) == [3, 4, 5, 6, 7]
    assert {batch.state for batch in batches} <= {BatchState.PUBLISHED, BatchState.HELD}


async def test_of_two_rollbacks_with_the_same_expected_version_one_wins(store: Store) -> None:
    await versions(store, 3)
    rollbacks = {
        version: store.pointer_moves.rollback("retail", version, by="ops", reason="x", expected_version=3)
        for version in (1, 2)
    }
    outcomes = dict(zip(rollbacks, await asyncio.gather(*rollbacks.values(), return_exceptions=True), strict=True))
    [winner] = [version for version, outcome in outcomes.items() if not isinstance(outcome, Conflict)]
    assert isinstance(outcomes[winner], PriceList)
    assert await current(store) == winner
