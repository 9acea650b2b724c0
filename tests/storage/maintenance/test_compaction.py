"""Compaction changes no price of any version, whatever is published, fails or dies meanwhile."""

import datetime
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from storage import Store
from storage.catalog.snapshots import Layer, Snapshot, SnapshotRepository, SnapshotState
from storage.errors import Corrupt, LayerGone, LeaseLost
from storage.layers.proof import LayerProver
from storage.layers.writer import LayerWriter
from storage.maintenance.compaction import MAX_LAYERS, Fold, newest_fold, replaced
from storage.maintenance.folding import LayerFold
from storage.mongodb.locks import Locks
from tests.storage.factories import (
    Crash,
    amounts,
    break_a_block,
    compact,
    create,
    forget_blocks,
    grown,
    layers,
    merge,
    newest,
    published,
    row,
    rows,
)

LONG_AGO = datetime.datetime.fromtimestamp(0, datetime.UTC)


@pytest.fixture
async def retail(store: Store) -> Store:
    """A list of 500 prices, with four merges on them that change, add and remove prices."""
    store.garbage_collector._orphan_seconds = 0.0
    await grown(store, "retail")
    return store


async def contents(store: Store, name: str = "retail") -> dict[int, dict[str, str]]:
    """The prices of all versions, read without what is in memory."""
    forget_blocks(store)
    return {each.version: await amounts(store, each.version, name) for each in await store.snapshots.newest(name, 100)}


async def named(store: Store) -> set[str]:
    return await store.snapshots.named_layers()


def during(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, act: Callable[[], Awaitable[object]]) -> None:
    """Do something once, just before a method is called."""
    original = getattr(owner, method)
    done = False

    async def wrapped(*args: Any, **more: Any) -> Any:
        nonlocal done
        if not done:
            done = True
            await act()
        return await original(*args, **more)

    monkeypatch.setattr(owner, method, wrapped)


# The choice of layers


def version_of(layers: Sequence[Layer]) -> Snapshot:
    return Snapshot("retail", 1, tuple(layers), 0, SnapshotState.PUBLISHED, LONG_AGO, LONG_AGO, None, "b", None)


def layer(count: int) -> Layer:
    return Layer(f"of {count}", count, "")


@pytest.mark.parametrize(
    ("counts", "folded"),
    [
        ([1, 1], 2),
        ([1, 1, 8], 3),
        ([1, 1, 9], 2),
        ([1, 1, 1, 1, 1, 20, 1000], 6),
        ([100, 100, 100, 1200], 4),
        ([100, 100, 100, 1201], 3),
        ([0, 0, 1], 2),
        ([1] * 100, 64),
    ],
)
def test_older_layers_are_folded_up_to_four_times_what_lies_on_them(counts: list[int], folded: int) -> None:
    fold = newest_fold(version_of([*map(layer, counts)]), len(counts))
    assert [each.count for each in fold.layers] == counts[:folded]
    assert fold.whole is (folded == len(counts))


A, B, C, D, FOLDED = (Layer(name, 1, "") for name in "abcdf")


@pytest.mark.parametrize(
    ("layers", "source", "whole", "expected"),
    [
        ((A, B, C), (A, B), False, [FOLDED, C]),
        ((A, B, C), (B, C), True, [A, FOLDED]),
        ((D, A, B, C), (A, B), False, [D, FOLDED, C]),
        ((D, A, B), (A, B), True, [D, FOLDED]),
        ((A, B, C), (A, B), True, None),
        ((A, D, B), (A, B), False, None),
        ((C,), (A, B), False, None),
    ],
)
def test_folded_layers_are_replaced_where_they_are(
    layers: tuple[Layer, ...], source: tuple[Layer, ...], whole: bool, expected: list[Layer] | None
) -> None:
    assert replaced(layers, Fold(version_of(layers), source, whole), FOLDED) == expected


# The result


async def test_no_version_changes(retail: Store) -> None:
    before = await contents(retail)
    compacted = await compact(retail, await newest(retail))
    assert len(compacted.layers) < 5
    assert await contents(retail) == before


async def test_a_compacted_version_has_the_bytes_of_a_replacement_with_the_same_prices(retail: Store) -> None:
    await merge(retail, rows(500, "3.00"), ["sku-000007x"])
    compacted = await compact(retail, await newest(retail))
    prices = await amounts(retail, compacted.version)
    await create(retail, "other")
    await published(retail, [row(sku, amount) for sku, amount in reversed(prices.items())], "other")
    [folded], [written] = compacted.layers, (await newest(retail, "other")).layers
    assert (folded.count, folded.checksum) == (written.count, written.checksum) == (len(prices), written.checksum)
    assert await retail.layer_writer.is_sealed(folded.id)


async def test_small_layers_are_folded_and_the_large_base_is_left_alone(retail: Store) -> None:
    before = await newest(retail)
    compacted = await compact(retail, before)
    assert [each.id for each in compacted.layers[1:]] == [before.layers[-1].id]
    assert compacted.layers[0].count == 4 + 4 + 1 + 4, "changed, added, added by all and removed"


# Versions that are published meanwhile


async def test_a_run_is_replaced_under_the_merges_that_were_published_meanwhile(
    retail: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await newest(retail)
    during(monkeypatch, LayerProver, "prove", lambda: merge(retail, [row("late")]))
    compacted = await compact(retail, seen)
    assert compacted.version == seen.version + 1
    assert len(compacted.layers) == 3, "the late merge, the folded ones, and the base"
    assert (await contents(retail))[compacted.version] == {**(await amounts(retail, seen.version)), "late": "1.00"}


@pytest.mark.parametrize("method", ["replace_layers", "get"])
async def test_a_merge_that_is_published_just_before_the_manifest_is_replaced_gets_the_folded_layer(
    retail: Store, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    seen = await newest(retail)
    late = row("late")
    during(
        monkeypatch,
        LayerProver,
        "prove",
        lambda: _set_up(monkeypatch, method, lambda: merge(retail, [late])),
    )
    compacted = await compact(retail, seen)
    assert compacted.version == seen.version + 1
    assert len(compacted.layers) == 3
    assert "late" in await amounts(retail, compacted.version)


async def test_a_merge_whose_transaction_began_before_the_manifest_was_replaced_gets_the_folded_layer(
    retail: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await newest(retail)
    during(monkeypatch, SnapshotRepository, "add", lambda: compact(retail, seen))
    await merge(retail, [row("late")])
    merged = await newest(retail)
    assert merged.version == seen.version + 1
    assert len(merged.layers) == 3, "the late merge, the folded ones, and the base"


async def test_layers_above_a_fold_are_folded_while_it_is_under_way(
    retail: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await newest(retail)
    upper: list[Fold | None] = []

    async def fold_the_layers_above() -> None:
        upper.append(await retail.compactor.next_fold("retail"))
        for number in range(MAX_LAYERS + 1):
            await merge(retail, [row(f"late-{number}")])
        upper.append(await retail.compactor.next_fold("retail"))
        assert upper[1]
        await retail.compactor.fold(upper[1])

    during(monkeypatch, LayerProver, "prove", fold_the_layers_above)
    await compact(retail, before)
    after = await newest(retail)
    assert upper[0] is None, "the layers are being folded"
    assert upper[1]
    assert len(upper[1].layers) == MAX_LAYERS + 1
    assert [layer.count for layer in after.layers] == [MAX_LAYERS + 1, 13, 500]
    assert len(await amounts(retail, after.version)) == len(await amounts(retail, before.version)) + MAX_LAYERS + 1


async def _set_up(monkeypatch: pytest.MonkeyPatch, method: str, act: Callable[[], Awaitable[object]]) -> None:
    during(monkeypatch, SnapshotRepository, method, act)


async def test_a_folded_layer_that_no_version_needs_is_dropped(retail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    during(monkeypatch, LayerProver, "prove", lambda: published(retail, rows(3)))
    compacted = await compact(retail, await newest(retail))
    assert len(compacted.layers) == 1
    assert await layers(retail) == await named(retail)


async def test_a_fold_without_tombstones_is_never_put_above_other_layers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    await published(store, rows(9))
    await merge(store, rows(9, "2.00"), ["sku-none"])
    seen = await newest(store)
    [upper, base] = seen.layers
    key = {"_id": {"list": "retail", "version": 2}}
    below = {"id": base.id, "count": base.count, "checksum": base.checksum}

    async def add_a_layer_below() -> None:
        await store.db["snapshots"].update_one(key, {"$push": {"layers": below}})

    during(monkeypatch, LayerProver, "prove", add_a_layer_below)
    await compact(store, seen)
    assert [each.id for each in (await newest(store)).layers] == [upper.id, base.id, base.id]


# Faults


STEPS: list[tuple[type, str]] = [
    (Locks, "_take"),
    (LayerWriter, "create"),
    (LayerWriter, "write"),
    (LayerWriter, "freeze"),
    (LayerProver, "prove"),
    (Locks, "confirm"),
    (SnapshotRepository, "replace_layers"),
]


@pytest.mark.parametrize(("owner", "method"), STEPS, ids=[method for _, method in STEPS])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_compaction_that_dies_at_any_step_changes_nothing_and_the_next_one_succeeds(
    retail: Store, monkeypatch: pytest.MonkeyPatch, owner: type, method: str, when: str
) -> None:
    before = await contents(retail)
    original = getattr(owner, method)

    async def dying(*args: Any, **more: Any) -> None:
        if when == "after":
            await original(*args, **more)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(owner, method, dying)
        with pytest.raises(Crash):
            await compact(retail, await newest(retail))
    assert await contents(retail) == before
    await retail.db["locks"].update_many({}, {"$set": {"lease.until": LONG_AGO}})
    compacted = await compact(retail, await newest(retail))
    assert len(compacted.layers) == 2
    await retail.garbage_collector.collect()
    assert await layers(retail) == await named(retail), "what the dead one left is collected"
    assert await contents(retail) == before


async def test_a_compaction_that_dies_while_it_writes_leaves_nothing(
    retail: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await contents(retail)

    async def dying(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(LayerFold, "_count", dying)
        with pytest.raises(Crash):
            await compact(retail, await newest(retail))
    await retail.db["locks"].update_many({}, {"$set": {"lease.until": LONG_AGO}})
    await retail.garbage_collector.collect()
    assert await layers(retail) == await named(retail)
    assert await contents(retail) == before


async def exchange_a_block(store: Store, layer_id: str) -> None:
    """Give the first block of a layer the rows of the second."""
    collection = store.layers_db[f"layer.{layer_id}"]
    first, second = await collection.find({"_id": {"$gte": ""}}).sort("_id", 1).limit(2).to_list()
    change = {"$set": {"data": second["data"]}}
    await collection.update_one({"_id": first["_id"]}, change, bypass_document_validation=True)


@pytest.mark.parametrize("damage", [break_a_block, exchange_a_block])
@pytest.mark.parametrize("which", [0, -1])
async def test_damage_is_not_compacted_away(
    retail: Store, which: int, damage: Callable[[Store, str], Awaitable[None]]
) -> None:
    await merge(retail, rows(400, "3.00"))
    seen = await newest(retail)
    forget_blocks(retail)
    await damage(retail, seen.layers[which].id)
    with pytest.raises(Corrupt, match="is damaged"):
        await compact(retail, seen)
    assert (await newest(retail)).layers == seen.layers
    assert await layers(retail) == await named(retail), "what was written is dropped"


async def test_a_block_that_is_in_memory_does_not_hide_that_it_is_damaged(retail: Store) -> None:
    await merge(retail, rows(400, "3.00"))
    seen = await newest(retail)
    await contents(retail)
    await break_a_block(retail, seen.layers[-1].id)
    with pytest.raises(Corrupt):
        await compact(retail, seen)


@pytest.mark.parametrize(("loss", "error"), [("damaged", Corrupt), ("dropped", LayerGone)])
async def test_a_folded_layer_is_named_only_once_it_is_read_back_as_it_was_written(
    retail: Store, monkeypatch: pytest.MonkeyPatch, loss: str, error: type[Exception]
) -> None:
    before, seen, known = await contents(retail), await newest(retail), await layers(retail)

    async def lose() -> None:
        [target] = await layers(retail) - known
        await (break_a_block(retail, target) if loss == "damaged" else retail.layer_writer.drop(target))

    during(monkeypatch, LayerProver, "prove", lose)
    with pytest.raises(error):
        await compact(retail, seen)
    assert (await newest(retail)).layers == seen.layers
    assert await layers(retail) == await named(retail) == known
    assert await contents(retail) == before


@pytest.mark.parametrize("large", [False, True])
async def test_a_fold_with_another_number_of_prices_than_its_sources_is_undone(
    retail: Store, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        await merge(retail, rows(400, "3.00"))
    seen = await newest(retail)
    original = LayerFold._kept

    def losing(self: LayerFold, found: Any) -> Any:
        kept = original(self, found)
        return type(kept)(kept.skus[1:], kept.rows[1:])

    monkeypatch.setattr(LayerFold, "_kept", losing)
    with pytest.raises(Corrupt, match="instead of"):
        await compact(retail, seen)
    assert (await newest(retail)).layers == seen.layers
    assert await layers(retail) == await named(retail)


# The folded layer and garbage collection


async def test_the_layer_that_is_being_written_is_not_collected(retail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await contents(retail)
    collected: list[int] = []

    async def collect() -> None:
        count = len(await layers(retail))
        await retail.garbage_collector.collect()
        collected.append(count - len(await layers(retail)))

    during(monkeypatch, LayerProver, "prove", collect)
    assert len((await compact(retail, await newest(retail))).layers) == 2
    assert collected == [0]
    assert await contents(retail) == before


async def test_a_compaction_that_was_stopped_until_its_layer_was_collected_changes_nothing(
    retail: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = await contents(retail), await newest(retail)

    async def stop_for_long() -> None:
        await retail.db["locks"].update_many({}, {"$set": {"lease.until": LONG_AGO}})
        await retail.garbage_collector.collect()

    during(monkeypatch, Locks, "confirm", stop_for_long)
    with pytest.raises(LeaseLost):
        await compact(retail, seen)
    assert (await newest(retail)).layers == seen.layers
    assert await contents(retail) == before


async def test_two_compactions_of_a_version_at_once_fold_it_once(
    retail: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await newest(retail)
    during(monkeypatch, LayerProver, "prove", lambda: compact(other_store, seen))
    compacted = await compact(retail, seen)
    assert len(compacted.layers) == 2
    await retail.garbage_collector.collect()
    assert await layers(retail) == await named(retail)
