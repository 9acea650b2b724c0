"""Publishing as another process does, and waiting for a process under test to load it."""

import secrets
from collections.abc import Iterable, Mapping

import msgspec

from storage import Batch, BatchMode, BatchOrder, BatchState, JsonRows, Store
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


async def whole(api: Api, price_list: str = "retail") -> None:
    """Wait until the current version of a list, which was read, is cached whole."""
    versions = api.runtime.pointers.versions

    async def is_whole() -> bool:
        cached = versions.current(price_list)
        return cached is not None and cached.is_whole

    await until(is_whole, "whole")
