"""What a process holds open while it serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from graph.context import Context
from graph.http.response_cache import ResponseCache
from graph.settings import Settings
from graph.telemetry.requests import Requests
from loaders import Heads, Heartbeat, Loaders, MinVersions
from storage import Meter, Store

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Runtime:
    """The store of a process, its pointers with what is in memory of their versions, its answers, and their count."""

    store: Store
    heads: Heads
    responses: ResponseCache
    caller: str = ANONYMOUS
    requests: Requests = field(default_factory=Requests)

    @classmethod
    @asynccontextmanager
    async def opened(cls, uri: str, settings: Settings) -> "AsyncIterator[Runtime]":
        """Open the store, follow the pointers, and close all of it at the end."""
        metered = settings.metrics_port is not None
        store = await open_store(uri, settings, Meter() if metered else None)
        heads = Heads(store, settings.cache_bytes)
        responses = ResponseCache(heads, settings.response_cache_bytes)
        heartbeat = Heartbeat(store, heads)
        runtime = cls(store, heads, responses)
        try:
            await heads.start()
            store.worker.start()
            heartbeat.start()
            async with runtime._told() if metered else nullcontext():
                yield runtime
        finally:
            await heartbeat.stop()
            await store.worker.stop()
            await heads.stop()
            await store.close()

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Tell what is counted while the body runs."""
        from graph.telemetry.exporter import Exporter  # noqa: PLC0415 - see there

        exporter = Exporter(self.store, self.heads, self.responses, self.requests)
        exporter.start()
        try:
            yield
        finally:
            await exporter.stop()

    def context(self, min_versions: MinVersions | None = None) -> Context:
        """Return the context of a new request, which wants to see `min_versions` at the least."""
        loaders = Loaders(self.store, self.heads, min_versions or MinVersions())
        return Context(self.store, self.heads, loaders, self.caller)


async def open_store(uri: str, settings: Settings, meter: Meter | None = None) -> Store:
    """Open the store as a process is told to; with a `meter` the driver is counted.

    Raises `InvalidArgument`, `Unavailable`.
    """
    return await Store.open(
        uri,
        settings.mongodb_database,
        secondaries=settings.read_from == "secondaries",
        max_scan=settings.max_scan,
        grace=settings.grace_seconds,
        restore=settings.restore_seconds,
        meter=meter,
    )
