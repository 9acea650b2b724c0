"""The lifecycle of a batch: its version, its manifest, its base, and what a pin does to it."""

from dataclasses import replace
from typing import Any

import pytest

from storage import BatchMode, BatchState, SnapshotState, Store
from storage.errors import Corrupt
from tests.storage.factories import (
    amounts,
    create,
    current,
    held,
    layer_ids,
    layers,
    order,
    prove,
    published,
    row,
    rows,
    snapshot,
    source,
    submit,
    versions,
)

# Publishing


async def test_versions_are_numbered_from_one_without_a_gap(store: Store) -> None:
    await create(store)
    for version in (1, 2, 3):
        batch = await published(store, [row("a", str(version))])
        assert (batch.version, batch.rows, batch.stored) == (version, 1, 1)
        assert await current(store) == version
    for version in (1, 2, 3):
        assert await amounts(store, version) == {"a": str(version)}


async def test_a_manifest_names_the_batch_and_the_base_of_its_version(store: Store) -> None:
    await versions(store, 1)
    batch = await submit(store, [row("a"), row("b")], label="spring")
    manifest = await snapshot(store, 2)
    assert manifest.batch == batch.id
    assert manifest.layers == (batch.layer,)
    assert (manifest.size, manifest.layers[0].checksum, manifest.label, manifest.base) == (
        2,
        batch.checksum,
        "spring",
        1,
    )
    assert manifest.state is SnapshotState.PUBLISHED
    assert manifest.published_at == batch.finished_at
    await prove(store, batch.layer)


async def test_lists_are_published_independently(store: Store) -> None:
    await versions(store, 2, "retail")
    await versions(store, 1, "wholesale")
    assert [await current(store, name) for name in ("retail", "wholesale")] == [2, 1]
    assert [event.revision for event in await store.events.newest("wholesale", 10)] == [2, 1]


async def test_a_reader_between_two_pages_keeps_its_version(store: Store) -> None:
    await create(store)
    await published(store, rows(6, "1.00"))
    layers = (await snapshot(store, 1)).layers
    prices = await store.layer_reader.page(layers, 2)
    for amount in ("2.00", "3.00"):
        await published(store, rows(4, amount))
        prices += await store.layer_reader.page(layers, 2, after=prices[-1].sku)
    assert [(price.sku, str(price.amount)) for price in prices] == [(f"sku-{n:06}", "1.00") for n in range(6)]


# The base


@pytest.mark.parametrize("mode", BatchMode)
async def test_a_batch_is_rebased_if_another_version_becomes_current_before_its_seal(
    store: Store, monkeypatch: pytest.MonkeyPatch, mode: BatchMode
) -> None:
    await versions(store, 1)
    freeze = store.layer_writer.freeze

    async def overtaken(layer: str) -> None:
        monkeypatch.undo()
        await published(store, [row("a", "7"), row("b", "7")])
        await freeze(layer)

    monkeypatch.setattr(store.layer_writer, "freeze", overtaken)
    batch = await store.submitter.submit(replace(order(), mode=mode), await source([row("a", "1")]))
    assert (batch.version, batch.base, batch.summary and batch.summary.changed) == (3, 2, 1)
    assert await amounts(store, 3) == ({"a": "1"} if mode is BatchMode.REPLACE else {"a": "1", "b": "7"})


async def test_the_pointer_is_read_to_admit_a_batch_to_compare_it_and_in_the_transaction_that_publishes_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(store, 1)
    get, in_transaction = store.price_lists.get, list[bool]()

    async def counted(name: str, session: Any = None) -> object:
        in_transaction.append(session is not None)
        return await get(name, session)

    monkeypatch.setattr(store.price_lists, "get", counted)
    await published(store, [row("a", "2")])
    assert in_transaction == [False, False, True]


async def test_a_batch_is_not_published_on_a_version_whose_manifest_is_gone(store: Store) -> None:
    await versions(store, 1)
    await store.db["snapshots"].delete_one({"_id": {"list": "retail", "version": 1}})
    with pytest.raises(Corrupt, match="manifest of version 1"):
        await submit(store, [row("a", "2")])
    assert await current(store) == 1


async def test_a_batch_fails_if_the_version_that_it_is_compared_with_is_damaged(store: Store) -> None:
    await create(store)
    base = await published(store, rows(300))
    assert base.layer is not None
    store.block_cache.drop(base.layer.id)
    layer = store.layers_db[f"layer.{base.layer.id}"]
    await layer.update_many({"_id": {"$type": "string"}}, {"$set": {"data": b"x"}}, bypass_document_validation=True)
    for mode in BatchMode:
        sent = replace(order(key=mode), mode=mode)
        with pytest.raises(Corrupt, match="is damaged"):
            await store.submitter.submit(sent, await source([row("sku-000007", "2.00")]))
        batch = await store.batches.by_key("retail", mode)
        assert batch is not None
        assert (batch.state, batch.refusal and batch.refusal.code) == (BatchState.FAILED, "CORRUPT")
    assert await store.batches.stalled() == []
    assert await layers(store) == layer_ids([base])


# Pins


async def test_a_pinned_list_holds_a_batch_under_its_own_version(store: Store) -> None:
    await versions(store, 1)
    batch = await held(store, [row("a", "2")])
    assert (batch.state, batch.version, batch.finished_at) == (BatchState.HELD, 2, None)
    assert await current(store) == 1
    manifest = await snapshot(store, 2)
    assert (manifest.state, manifest.published_at) == (SnapshotState.SEALED, None)
    assert await amounts(store, 2) == {"a": "2"}


async def test_after_an_unpin_the_next_batch_is_published_above_those_that_waited(store: Store) -> None:
    await versions(store, 1)
    await held(store, [row("a", "2")])
    assert (await store.pointer_moves.unpin("retail", by="ops", reason="done")).pin is None
    assert (await published(store, [row("a", "3")])).version == 3
    assert await current(store) == 3
