"""The long-lived objects of a serving process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from graph.cache.response_cache import ResponseCache
from graph.context import Context
from graph.drain import Drain
from graph.identity.authenticator import Authenticator
from graph.identity.callers import ANONYMOUS, Caller
from graph.identity.jwks import KeySet
from graph.identity.scopes import Grants
from graph.identity.tokens import Tokens
from graph.settings import Settings
from graph.telemetry.requests import Requests
from loaders import Heartbeat, Loaders, MinVersions, PointerCache, Preloader
from storage import Preview, StorageMetrics, Store


@dataclass(frozen=True, slots=True)
class Runtime:
    """The store, the caches and the authenticator of a process, its request counters and its drain state."""

    store: Store
    pointers: PointerCache
    responses: ResponseCache
    authenticator: Authenticator
    requests: Requests = field(default_factory=Requests)
    drain: Drain = field(default_factory=Drain)

    @classmethod
    @asynccontextmanager
    async def opened(cls, uri: str, settings: Settings) -> "AsyncIterator[Runtime]":
        """Open the store, start to watch pointers, and close everything at the end."""
        has_metrics = settings.metrics_port is not None
        store = await open_store(uri, settings, StorageMetrics() if has_metrics else None)
        pointers = PointerCache(store)
        responses = ResponseCache(pointers, settings.response_cache_bytes)
        heartbeat, preloader = Heartbeat(store, pointers), Preloader(store, pointers)
        runtime = cls(store, pointers, responses, authenticator(store, settings))
        try:
            await pointers.start()
            store.worker.start()
            heartbeat.start()
            preloader.start()
            async with runtime._exported_metrics() if has_metrics else nullcontext():
                yield runtime
        finally:
            await preloader.stop()
            await heartbeat.stop()
            await store.worker.stop()
            await pointers.stop()
            await store.close()

    @asynccontextmanager
    async def _exported_metrics(self) -> AsyncIterator[None]:
        """Export metrics while the body runs."""
        from graph.telemetry.exporter import Exporter  # noqa: PLC0415 - see there

        exporter = Exporter(self.store, self.pointers, self.responses, self.requests)
        exporter.start()
        try:
            yield
        finally:
            await exporter.stop()

    def context(
        self, caller: Caller, min_versions: MinVersions | None = None, preview: Preview | None = None
    ) -> Context:
        """Return the context of a new request.

        It waits until `min_versions` have been published, and may read the version of `preview`.
        """
        loaders = Loaders(self.store, self.pointers, min_versions or MinVersions(), caller.works_on, preview)
        return Context(self.store, self.pointers, loaders, caller)


def authenticator(store: Store, settings: Settings) -> Authenticator:
    """Return the authenticator that the settings describe."""
    tokens = None
    if settings.jwt_keys and settings.jwt_issuer and settings.jwt_audience:
        algorithms = settings.jwt_algorithms.split()
        tokens = Tokens(KeySet(settings.jwt_keys), settings.jwt_issuer, settings.jwt_audience, algorithms)
    anonymous = Caller(ANONYMOUS, Grants.parse(settings.anonymous.split()))
    return Authenticator(anonymous, store.api_keys, tokens)


async def open_store(uri: str, settings: Settings, metrics: StorageMetrics | None = None) -> Store:
    """Open the store by the settings; `metrics` counts the driver's connections and commands.

    Raises `InvalidArgument`, `Unavailable`.
    """
    return await Store.open(
        uri,
        settings.mongodb_database,
        secondaries=settings.read_from == "secondaries",
        cache_bytes=settings.cache_bytes,
        max_scan=settings.max_scan,
        max_open_batches=settings.max_open_batches,
        grace=settings.grace_seconds,
        restore=settings.restore_seconds,
        delete_idle_hours=settings.delete_idle_hours,
        release_idle_days=settings.release_idle_days,
        metrics=metrics,
    )
