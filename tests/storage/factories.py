"""Factories of the tests of the storage: rows, orders, and a batch in each of its states."""

import datetime
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import msgspec

from storage import (
    Batch,
    BatchMode,
    BatchOrder,
    BatchState,
    Gates,
    ItemError,
    JsonRows,
    Layer,
    Price,
    ReportRange,
    Snapshot,
    Store,
)
from storage.maintenance.compaction import newest_fold
from storage.prices.row_decoder import decode_slice

Row = dict[str, Any]


class Crash(BaseException):
    """Simulates the death of a process."""


def row(sku: str, amount: str = "1.00", currency: str = "EUR", **more: Any) -> Row:
    """A row as an integrator sends it."""
    return {"sku": sku, "amount": amount, "currency": currency, **more}


def rows(count: int, amount: str = "1.00") -> list[Row]:
    """The given number of rows, in the order of their skus."""
    return [row(f"sku-{number:06}", amount) for number in range(count)]


def encoded(price: Row) -> bytes:
    """The stored row of a valid row."""
    decoded = decode_slice([msgspec.Raw(msgspec.json.encode(price))], 0)
    assert decoded.refused == []
    [stored] = decoded.rows
    return stored


def order(price_list: str = "retail", key: str | None = None, **more: Any) -> BatchOrder:
    """An order that replaces the list, with a new idempotency key unless one is given."""
    return BatchOrder(price_list, BatchMode.REPLACE, secrets.token_hex(8) if key is None else key, "integrator", **more)


async def source(prices: Iterable[Row]) -> JsonRows:
    """The rows of a request."""
    return await JsonRows.read(msgspec.json.encode(list(prices)))


async def create(store: Store, price_list: str = "retail") -> None:
    """Create a list without a version."""
    await store.price_list_editor.create(price_list, None, Gates(), "ops")


async def errors_of(store: Store, batch: Batch) -> list[ItemError]:
    """The stored errors of a batch."""
    if batch.error_report is None:
        return []
    [errors] = await store.item_errors.read([ReportRange(batch.id, batch.error_report.id, 0, batch.error_report.count)])
    return errors


async def submit(
    store: Store, prices: Iterable[Row], price_list: str = "retail", key: str | None = None, **more: Any
) -> Batch:
    """Send a batch and return it."""
    return await store.submitter.submit(order(price_list, key, **more), await source(prices))


async def published(store: Store, prices: Iterable[Row], price_list: str = "retail") -> Batch:
    """A batch whose version is current."""
    batch = await submit(store, prices, price_list)
    assert batch.state is BatchState.PUBLISHED, batch
    return batch


async def merge(store: Store, prices: Iterable[Row], removed: Sequence[str] = (), price_list: str = "retail") -> None:
    """Publish a batch that merges into a list."""
    merging = replace(order(price_list), mode=BatchMode.MERGE)
    batch = await store.submitter.submit(merging, await source(prices), removed)
    assert batch.state is BatchState.PUBLISHED, batch


async def grown(store: Store, price_list: str, merges: int = 4) -> None:
    """Create a list of 500 prices, with merges on them that change, add and remove prices."""
    await create(store, price_list)
    await published(store, rows(500), price_list)
    for number in range(merges):
        changed = [row(f"sku-{number:06}", "2.00"), row(f"sku-{100 * number:06}x"), row("new", f"{number}.00")]
        await merge(store, changed, [f"sku-{200 + number:06}"], price_list)


async def compact(store: Store, version: Snapshot) -> Snapshot:
    """Fold the newest layers of a current version into one, and return the manifest that is current then."""
    await store.compactor.fold(newest_fold(version, len(version.layers)))
    return await newest(store, version.price_list)


async def versions(store: Store, count: int, price_list: str = "retail") -> None:
    """Create a list with published versions: in version n, the sku `a` costs n."""
    await create(store, price_list)
    for version in range(1, count + 1):
        assert (await published(store, [row("a", str(version))], price_list)).version == version


async def held(store: Store, prices: Iterable[Row], key: str | None = None) -> Batch:
    """A batch that is held because the list is pinned at its current version."""
    current = (await store.price_lists.get("retail")).current_version
    assert current is not None
    await store.pointer_moves.pin("retail", current, by="ops", reason="audit")
    batch = await submit(store, prices, key=key)
    assert batch.state is BatchState.HELD, batch
    return batch


async def failed(store: Store, key: str | None = None) -> Batch:
    """A batch that failed because of an invalid row."""
    batch = await submit(store, [row("good"), row("bad", "-1")], key=key)
    assert batch.state is BatchState.FAILED, batch
    return batch


async def left_open(store: Store, prices: Iterable[Row], key: str) -> Batch:
    """A batch whose process ended before a row was stored, and released its lease."""
    return await _interrupted(store, prices, key, store.layer_writer, "write")


async def left_sealing(store: Store, prices: Iterable[Row], key: str) -> Batch:
    """A batch whose process ended after all rows were stored, and released its lease."""
    return await _interrupted(store, prices, key, store.layer_writer, "freeze")


async def _interrupted(store: Store, prices: Iterable[Row], key: str, owner: object, method: str) -> Batch:
    with patch.object(owner, method, side_effect=Crash):
        try:
            await submit(store, prices, key=key)
        except Crash:
            batch = await store.batches.by_key("retail", key)
            assert batch is not None
            return batch
    raise AssertionError(f"{method} was not called.")


async def expire_leases(store: Store) -> None:
    """Expire the lease of every batch."""
    await store.db["batches"].update_many(
        {}, {"$set": {"lease.until": datetime.datetime.fromtimestamp(0, datetime.UTC)}}
    )


# Stored state


async def current(store: Store, price_list: str = "retail") -> int | None:
    """The current version of a list."""
    return (await store.price_lists.get(price_list)).current_version


async def snapshot(store: Store, version: int, price_list: str = "retail") -> Snapshot:
    """The manifest of an existing version."""
    found = await store.snapshots.get(price_list, version)
    assert found is not None
    return found


async def newest(store: Store, price_list: str = "retail") -> Snapshot:
    """The manifest of the current version."""
    version = await current(store, price_list)
    assert version is not None
    return await snapshot(store, version, price_list)


async def prices_of(store: Store, version: int, price_list: str = "retail") -> list[Price]:
    """All prices of a version."""
    return await store.layer_reader.page((await snapshot(store, version, price_list)).layers, 1_000_000)


async def amounts(store: Store, version: int, price_list: str = "retail") -> dict[str, str]:
    """The amounts of a version, by sku."""
    return {price.sku: str(price.amount) for price in await prices_of(store, version, price_list)}


async def layers(store: Store) -> set[str]:
    """The ids of all layers, whether a version names them or not."""
    return set(await store.layer_writer.all())


def layer_ids(batches: Iterable[Batch]) -> set[str]:
    """The ids of the layers of batches."""
    return {batch.layer.id for batch in batches if batch.layer}


async def prove(store: Store, layer: Layer | None) -> None:
    """Prove that a layer is stored as its record says, and sealed."""
    assert layer is not None
    await store.prover.prove(layer)
    assert await store.layer_writer.is_sealed(layer.id)


def forget_blocks(store: Store) -> None:
    """Drop everything from the block cache, so that the next read asks the server."""
    for layer in list(store.block_cache._layers):
        store.block_cache.drop(layer)


async def break_a_block(store: Store, layer_id: str) -> None:
    """Change a byte of the first block of a layer."""
    collection = store.layers_db[f"layer.{layer_id}"]
    found = await collection.find_one({"_id": {"$gte": ""}})
    assert found is not None
    data = bytearray(found["data"])
    data[-1] ^= 1
    await collection.update_one({"_id": found["_id"]}, {"$set": {"data": bytes(data)}}, bypass_document_validation=True)
