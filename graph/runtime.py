"""What a process holds open while it serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from graph.context import Context
from graph.http.response_cache import ResponseCache
from graph.identity.authenticator import Authenticator
from graph.identity.callers import ANONYMOUS, Caller
from graph.identity.jwks import KeySet
from graph.identity.scopes import Grants
from graph.identity.tokens import Tokens
from graph.metrics import CacheMeter
from graph.settings import Settings
from loaders import Heads, Heartbeat, Loaders, MinVersions
from storage import Store


@dataclass(frozen=True, slots=True)
class Runtime:
    """The store of a process, its pointers with what is in memory of their versions, its answers, and who may ask."""

    store: Store
    heads: Heads
    responses: ResponseCache
    authenticator: Authenticator

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
            yield cls(store, heads, responses, authenticator(store, settings))
        finally:
            await meter.stop()
            await heartbeat.stop()
            await store.worker.stop()
            await heads.stop()
            await store.close()

    def context(self, caller: Caller, min_versions: MinVersions | None = None) -> Context:
        """Return the context of a new request, which wants to see `min_versions` at the least."""
        loaders = Loaders(self.store, self.heads, min_versions or MinVersions())
        return Context(self.store, self.heads, loaders, caller)


def authenticator(store: Store, settings: Settings) -> Authenticator:
    """Return what tells who calls, as the settings have it."""
    tokens = None
    if settings.jwt_keys and settings.jwt_issuer and settings.jwt_audience:
        algorithms = settings.jwt_algorithms.split()
        tokens = Tokens(KeySet(settings.jwt_keys), settings.jwt_issuer, settings.jwt_audience, algorithms)
    nobody = Caller(ANONYMOUS, Grants.of(settings.anonymous.split()))
    return Authenticator(nobody, store.api_keys, tokens)


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
