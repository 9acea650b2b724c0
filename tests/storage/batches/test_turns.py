"""A batch that others overtake again and again takes its turn, and is published; the others wait a bounded time."""

import asyncio
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from storage import Batch, BatchMode, BatchState, PublishPolicy, Store
from storage.batches import turns
from storage.batches.turns import MAX_OVERTAKEN
from tests.storage.factories import amounts, create, current, order, published, row, rows, source, submit

TURN = "publish/retail"


async def merge(store: Store, number: int) -> Batch:
    order_ = replace(order(), mode=BatchMode.MERGE)
    return await store.submitter.submit(order_, await source([row(f"merged-{number}", "7.00")]))


class Overtaker:
    """Sends a merge through another store before each transaction of a store, until one has to wait.

    `overtaking` are the merges that were published first, `waiting` is the one that waits.
    """

    def __init__(self, store: Store, other: Store, method: str) -> None:
        self._act = getattr(store.lifecycle, method)
        self._other = other
        self._is_held = other.locks.is_held
        self._waits = asyncio.Event()
        self.overtaking: list[Batch] = []
        self.waiting: asyncio.Task[Batch] | None = None

    async def act(self, *arguments: Any) -> Any:
        if self.waiting is None:
            merging = asyncio.create_task(merge(self._other, len(self.overtaking)))
            waits = asyncio.create_task(self._waits.wait())
            await asyncio.wait({merging, waits}, return_when=asyncio.FIRST_COMPLETED)
            waits.cancel()
            if merging.done():
                self.overtaking.append(merging.result())
            else:
                self.waiting = merging
        return await self._act(*arguments)

    async def is_held(self, name: str) -> bool:
        found = await self._is_held(name)
        if found:
            self._waits.set()
        return found


def overtaken(monkeypatch: pytest.MonkeyPatch, store: Store, other: Store, method: str) -> Overtaker:
    overtaker = Overtaker(store, other, method)
    monkeypatch.setattr(store.lifecycle, method, overtaker.act)
    monkeypatch.setattr(other.locks, "is_held", overtaker.is_held)
    return overtaker


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: object, method: str) -> list[int]:
    """Count the calls of a method: the list has their number, and is empty before the first."""
    original, calls = getattr(owner, method), list[int]()

    async def counted(*arguments: Any) -> Any:
        calls[:] = [sum(calls) + 1]
        return await original(*arguments)

    monkeypatch.setattr(owner, method, counted)
    return calls


async def test_a_replacement_that_small_merges_overtake_is_published_in_its_turn(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    await published(store, rows(2000))
    proofs, frozen, compared = (
        count_calls(monkeypatch, owner, method)
        for owner, method in (
            (store.prover, "prove"),
            (store.layer_writer, "freeze"),
            (store.differ, "count"),
        )
    )
    overtaker = overtaken(monkeypatch, store, other_store, "_publish")
    batch = await submit(store, rows(2000, "2.00"))
    assert batch.state is BatchState.PUBLISHED
    assert len(overtaker.overtaking) == MAX_OVERTAKEN
    assert (proofs, frozen, compared) == ([1], [1], [1]), "the layer is proved once, and compared with all rows once"
    assert batch.summary
    assert (batch.summary.changed, batch.summary.removed) == (2000, MAX_OVERTAKEN)
    assert overtaker.waiting
    last = await overtaker.waiting
    assert batch.version is not None
    assert (last.state, last.version, last.base) == (BatchState.PUBLISHED, batch.version + 1, batch.version)
    assert len(await amounts(store, await current(store) or 0)) == 2001
    assert not await store.locks.is_held(TURN)


async def test_an_approval_that_small_merges_overtake_takes_its_turn(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    await published(store, rows(20))
    batch = await submit(store, rows(20, "2.00"), publish=PublishPolicy.ON_APPROVAL)
    overtaker = overtaken(monkeypatch, store, other_store, "_approve")
    approved = await store.lifecycle.approve(batch.id, by="ops", reason="x")
    assert (approved.state, len(overtaker.overtaking)) == (BatchState.PUBLISHED, MAX_OVERTAKEN + 1)
    assert overtaker.waiting
    assert (await overtaker.waiting).base == approved.version


async def test_the_wait_for_a_holder_that_died_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(store)
    await published(store, [row("a")])
    monkeypatch.setattr(turns, "MAX_TURN_WAIT_SECONDS", 0.05)
    assert await store.locks._take(TURN), "a lock that no one renews or releases"
    assert (await merge(store, 1)).state is BatchState.PUBLISHED
    assert await store.locks.is_held(TURN)


async def test_a_turn_is_taken_after_some_overtaking_and_ends_with_its_batch(store: Store) -> None:
    async with turns.Turns(store.locks).queue("retail") as turn:
        for _ in range(MAX_OVERTAKEN):
            assert not await store.locks.is_held(TURN)
            await turn.note_overtaken()
        assert await store.locks.is_held(TURN)
        with patch.object(store.locks, "is_held", side_effect=AssertionError):
            await turn.wait()  # for others, not for itself
    assert not await store.locks.is_held(TURN)


async def test_of_two_overtaken_batches_one_has_the_turn_and_then_the_other(store: Store) -> None:
    async with turns.Turns(store.locks).queue("retail") as second:
        async with turns.Turns(store.locks).queue("retail") as first:
            for _ in range(MAX_OVERTAKEN):
                await first.note_overtaken()
                await second.note_overtaken()
            waiting = asyncio.create_task(second.wait())
            assert not waiting.done()
        await waiting
        await second.note_overtaken()
        assert await store.locks.is_held(TURN)


async def test_lists_have_turns_of_their_own(store: Store) -> None:
    async with turns.Turns(store.locks).queue("outlet") as turn:
        for _ in range(MAX_OVERTAKEN):
            await turn.note_overtaken()
        assert not await store.locks.is_held(TURN)


async def test_a_batch_that_is_not_overtaken_reads_one_lock_and_takes_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    reads = count_calls(monkeypatch, store.locks, "is_held")
    with patch.object(store.locks, "_take", side_effect=AssertionError):
        await published(store, [row("a")])
    assert reads == [1]


async def test_batches_of_one_process_do_not_overtake_each_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(store)
    await published(store, [row("a")])
    tries = count_calls(monkeypatch, store.lifecycle, "_publish")
    merged = await asyncio.gather(*(merge(store, number) for number in range(8)))
    assert sorted(batch.version or 0 for batch in merged) == list(range(2, 10))
    assert sum(tries) <= 2 * len(merged), "each was overtaken at most between its comparison and its turn"


async def test_the_wait_in_the_queue_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(store)
    await published(store, [row("a")])
    monkeypatch.setattr(turns, "MAX_TURN_WAIT_SECONDS", 0.05)
    async with store.lifecycle._rebaser._turns.queue("retail"):
        assert (await merge(store, 1)).state is BatchState.PUBLISHED
