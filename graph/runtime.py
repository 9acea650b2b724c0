"""What a process holds open while it serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from graph.context import Context
from graph.http.response_cache import ResponseCache
from graph.metrics import CacheMeter
from graph.settings import Settings
from loaders import Heads, Heartbeat, Loaders, MinVersions
from storage import Store

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Runtime:
    """The store of a process, its pointers with what is in memory of their versions, and its answers."""

    store: Store
    heads: Heads
    responses: ResponseCache
    caller: str = ANONYMOUS

    @classmethod
    @asynccontextmanager
    async def opened(cls, uri: str, settings: Settings) -> "AsyncIterator[Runtime]":
        """Open the store, follow the pointers, and close all of it at the end."""
        store = await open_store(uri, settings)
        heads = Heads(store, settings.cache_bytes)
        responses = ResponseCache(heads, settings.response_cache_bytes)
        heartbeat = Heartbeat(store, heads)
        meter = CacheMeter({"prices": heads.versions, "responses": responses})
        try:
            await heads.start()
            store.worker.start()
            heartbeat.start()
            meter.start()
            yield cls(store, heads, responses)
        finally:
            await meter.stop()
            await heartbeat.stop()
            await store.worker.stop()
            await heads.stop()
            await store.close()

    def context(self, min_versions: MinVersions | None = None) -> Context:
        """Return the context of a new request, which wants to see `min_versions` at the least."""
        loaders = Loaders(self.store, self.heads, min_versions or MinVersions())
        return Context(self.store, self.heads, loaders, self.caller)


async def open_store(uri: str, settings: Settings) -> Store:
    """Open the store as a process is told to. Raises `InvalidArgument`, `Unavailable`."""
    return await Store.open(
        uri,
        settings.mongodb_database,
        secondaries=settings.read_from == "secondaries",
        max_scan=settings.max_scan,
        grace=settings.grace_seconds,
        restore=settings.restore_seconds,
    )
