"""What a process holds open while it serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from graph.context import Context
from graph.http.response_cache import ResponseCache
from loaders import Heads, Heartbeat, Loaders
from storage import Store

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Runtime:
    """The store, the pointers and the answers of a process."""

    store: Store
    heads: Heads
    responses: ResponseCache

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, uri: str, database: str, response_cache_bytes: int, max_scan: int
    ) -> "AsyncIterator[Runtime]":
        """Open the store, follow the pointers, and close all of it at the end."""
        store = await Store.open(uri, database, max_scan)
        heads = Heads(store)
        heartbeat = Heartbeat(store, heads)
        try:
            await heads.start()
            store.worker.start()
            heartbeat.start()
            yield cls(store, heads, ResponseCache(heads, response_cache_bytes))
        finally:
            await heartbeat.stop()
            await store.worker.stop()
            await heads.stop()
            await store.close()

    def context(self) -> Context:
        """Return the context of a new request."""
        return Context(self.store, self.heads, Loaders(self.store, self.heads), ANONYMOUS)
