"""Lists are compacted soon after they move, also when others fail or take long."""

import asyncio

import pytest

from storage import Store
from storage.maintenance import compaction_schedule, delay_queue
from storage.maintenance.compaction import MAX_LAYERS, Compactor, Fold
from tests.storage.factories import amounts, break_a_block, forget_blocks, grown, merge, newest, row
from tests.storage.maintaining import until_compacted, working
from tests.waiting import until


async def test_a_list_that_cannot_be_compacted_does_not_stop_the_others_and_is_logged_once_an_attempt(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delay_queue, "FIRST_RETRY_SECONDS", 300.0)
    for name in ("bad", "retail"):
        await grown(store, name, MAX_LAYERS)
    bad = await newest(store, "bad")
    await store.layers_db[f"layer.{bad.layers[1].id}"].drop()
    forget_blocks(store)
    async with working(store):
        await until_compacted(store)
        await store.pointer_moves.pin("bad", bad.version, by="ops", reason="audit")
        await grown(store, "later", MAX_LAYERS)
        await until_compacted(store, "later")
    assert (await newest(store, "bad")).layers == bad.layers
    assert len([record for record in caplog.records if "compact bad" in record.message]) == 1


async def test_a_list_that_moves_while_it_is_compacted_is_compacted_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await grown(store, "retail", MAX_LAYERS)
    expected = await amounts(store, MAX_LAYERS + 1)
    original, done, merged = Compactor.fold, False, asyncio.Event()

    async def fold(self: Compactor, source: Fold) -> None:
        nonlocal done
        if not done:
            done = True
            for number in range(2 * MAX_LAYERS):
                await merge(store, [row(f"late-{number}")])
            merged.set()
        await original(self, source)

    monkeypatch.setattr(Compactor, "fold", fold)
    async with working(store):
        await merged.wait()
        await until_compacted(store)
    last = await newest(store)
    assert await amounts(store, last.version) == {**expected, **{f"late-{n}": "1.00" for n in range(2 * MAX_LAYERS)}}


async def test_large_folds_leave_room_for_small_ones(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction_schedule, "LARGE_FOLD_ROWS", 2 * MAX_LAYERS)
    large = [f"large-{number}" for number in range(compaction_schedule.MAX_LARGE_FOLDS + 1)]
    for name in large:
        await grown(store, name, MAX_LAYERS)
    original, release, running = Compactor.fold, asyncio.Event(), list[str]()

    async def fold(self: Compactor, source: Fold) -> None:
        name = source.snapshot.price_list
        if name in large:
            running.append(name)
            await release.wait()
        await original(self, source)

    async def full() -> bool:
        return len(running) == compaction_schedule.MAX_LARGE_FOLDS

    monkeypatch.setattr(Compactor, "fold", fold)
    async with working(store):
        await until(full, "at the limit of large folds")
        await grown(store, "small", 0)
        for number in range(MAX_LAYERS):
            await merge(store, [row(f"{number}")], price_list="small")
        await until_compacted(store, "small")
        assert await full()
        release.set()
        for name in large:
            await until_compacted(store, name)


@pytest.mark.parametrize("which", [0, -1])
async def test_the_layers_above_a_damaged_one_are_folded(store: Store, which: int) -> None:
    await grown(store, "retail", MAX_LAYERS)
    damaged = (await newest(store)).layers[which].id
    await break_a_block(store, damaged)
    forget_blocks(store)

    async def is_folded_above() -> bool:
        return [layer.id for layer in (await newest(store)).layers].index(damaged) <= MAX_LAYERS

    async with working(store):
        for number in range(2 * MAX_LAYERS):
            await merge(store, [row(f"late-{number}")])
        await until(is_folded_above, "folded above the damage")


async def test_the_list_that_waits_longest_is_folded_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction_schedule, "MAX_FOLDS", 1)
    original, folded = Compactor.fold, list[str]()

    async def fold(self: Compactor, source: Fold) -> None:
        folded.append(source.snapshot.price_list)
        if folded == ["a"]:
            for number in range(MAX_LAYERS + 1):
                await merge(store, [row(f"late-{number}")], price_list="a")
        await original(self, source)

    monkeypatch.setattr(Compactor, "fold", fold)
    for name in ("a", "m", "z"):
        await grown(store, name, MAX_LAYERS)
    async with working(store):
        for name in ("a", "m", "z"):
            await until_compacted(store, name)
    assert folded[:3] == ["a", "m", "z"]
