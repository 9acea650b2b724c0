"""Publishing as another process does, and waiting for a process under test to load it."""

import secrets
from collections.abc import AsyncIterator, Iterable, Mapping

import msgspec

from loaders.cache.version_cache import CachedVersion
from storage import Batch, BatchMode, BatchOrder, BatchState, JsonRows, Store
from storage.layers.block import Block
from storage.layers.cutting import BlockCutter
from storage.layers.merge import merged
from storage.prices.price import TOMBSTONE
from tests.graph.api import Api, row
from tests.waiting import until


async def publish(
    store: Store, price_list: str, amounts: Mapping[str, str], mode: BatchMode, remove: Iterable[str] = ()
) -> Batch:
    """Publish a batch of {sku: amount}, and return it."""
    order = BatchOrder(price_list, mode, secrets.token_hex(8), "integrator")
    rows = await JsonRows.read(msgspec.json.encode([row(sku, amount) for sku, amount in amounts.items()]))
    batch = await store.submitter.submit(order, rows, list(remove))
    assert batch.state is BatchState.PUBLISHED, batch
    return batch


async def replace(store: Store, price_list: str, amounts: Mapping[str, str]) -> Batch:
    """Publish a batch that replaces the list."""
    return await publish(store, price_list, amounts, BatchMode.REPLACE)


async def merge(store: Store, price_list: str, amounts: Mapping[str, str], remove: Iterable[str] = ()) -> Batch:
    """Publish a batch that merges into the list."""
    return await publish(store, price_list, amounts, BatchMode.MERGE, remove)


async def compact(store: Store, price_list: str, version: int) -> None:
    """Fold the layers of a version into one, and drop those that no version names, as maintenance does in time."""
    manifest = await store.snapshots.get(price_list, version)
    assert manifest is not None
    stack, cutter = await store.layer_reader.layers(manifest.layers), BlockCutter()

    async def blocks() -> AsyncIterator[list[Block]]:
        async for skus, rows in merged(store.layer_reader, stack):
            kept = [(sku, row) for sku, row in zip(skus, rows, strict=True) if row != TOMBSTONE]
            yield cutter.add([sku for sku, _ in kept], [row for _, row in kept])
        yield cutter.finish()

    folded = await store.layer_writer.write(secrets.token_hex(12), blocks())
    await store.layer_writer.freeze(folded.id)
    manifests = {"_id.list": price_list, "_id.version": version}
    await store.db["snapshots"].update_one(manifests, {"$set": {"layers": [msgspec.to_builtins(folded)]}})
    for layer in manifest.layer_ids:
        if not await store.snapshots.versions_of_layer(layer):
            await store.layer_writer.drop(layer)


async def whole(api: Api, price_list: str = "retail") -> None:
    """Wait until all blocks of the current version of a list, which was read, are in memory."""
    cached = api.runtime.pointers.versions.current

    async def is_whole() -> bool:
        return is_in_memory(cached(price_list))

    await until(is_whole, "whole")


def is_in_memory(cached: CachedVersion | None) -> bool:
    """Whether all blocks of a version are in memory."""
    return cached is not None and cached.stack is not None and all(all(layer.blocks) for layer in cached.stack)
