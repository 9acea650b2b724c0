"""The maintenance of a process, as it runs in a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage import Store
from storage.maintenance.compaction import MAX_LAYERS
from tests.storage.factories import newest
from tests.waiting import until


@asynccontextmanager
async def working(store: Store) -> AsyncIterator[None]:
    """Run the worker of a process."""
    await store.watcher.start()
    store.worker.start()
    try:
        yield
    finally:
        await store.worker.stop()
        await store.watcher.stop()


async def until_compacted(store: Store, price_list: str = "retail") -> None:
    """Wait until the current version of a list has few layers."""

    async def compacted() -> bool:
        return len((await newest(store, price_list)).layers) <= MAX_LAYERS

    await until(compacted, "compacted")
