"""Fixtures for the loaders: a mock store in memory, and APIs on a server whose round trips are counted."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import pytest
from mongomock_motor import AsyncMongoMockClient
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from graph.cache.response_cache import ResponseCache
from graph.context import ContextFactory
from graph.http.endpoint import Endpoint
from graph.identity.authenticator import Authenticator
from graph.middleware.min_version import MinVersionMiddleware
from graph.request_state import REQUEST_STATE
from graph.runtime import Runtime
from graph.schema.build import build_schema
from loaders import PointerCache
from storage import DEFAULT_CACHE_BYTES, Store
from storage.mongodb.connection import Client
from tests.graph.api import ANYBODY, Api, http_client


@pytest.fixture
def mock_store() -> Store:
    """A store in memory, for reading documents that a test inserts.

    mongomock-motor follows Motor, whose `find` and `find_one` equal those of PyMongo's asyncio API. It lacks change
    streams, transactions and pipeline updates, and its `aggregate` is not awaited: tests of those need a server.
    """
    return Store(cast("Client", AsyncMongoMockClient(tz_aware=True)), "mock")


class RoundTrips(CommandListener):
    """Records the commands that a client sends, each with its collection and the number of requested keys."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, str, int]] = []

    def started(self, event: CommandStartedEvent) -> None:
        name = event.command_name
        collection = str(event.command[name] if name != "getMore" else event.command["collection"])
        if (name, collection) == ("getMore", "price_lists"):
            return  # the change stream of the watcher
        self._sent.append((name, collection.partition(".")[0], _keys(event.command)))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    @contextmanager
    def counted(self) -> Iterator[list[tuple[str, str, int]]]:
        """Yield a list to which the commands sent within the block are appended."""
        counted: list[tuple[str, str, int]] = []
        self._sent = counted
        yield counted
        self._sent = []


def _keys(command: Mapping[str, Any]) -> int:
    by_id = command.get("filter", {}).get("_id")
    return len(by_id["$in"]) if isinstance(by_id, dict) and "$in" in by_id else 0


@pytest.fixture
def round_trips() -> RoundTrips:
    """The round trips of `counted_api` and `cached_api`."""
    return RoundTrips()


@pytest.fixture
async def counted_api(mongodb_uri: str, store: Store, round_trips: RoundTrips) -> AsyncIterator[Api]:
    """The API on a client whose commands are counted, without a price cache."""
    async with counting(mongodb_uri, store.db.name, round_trips, 0) as api:
        yield api


@pytest.fixture
async def cached_api(mongodb_uri: str, store: Store, round_trips: RoundTrips) -> AsyncIterator[Api]:
    """The API on a client whose commands are counted, with the default price cache."""
    async with counting(mongodb_uri, store.db.name, round_trips, DEFAULT_CACHE_BYTES) as api:
        yield api


@asynccontextmanager
async def counting(
    uri: str, database: str, round_trips: RoundTrips, cache_bytes: int, *, secondaries: bool = False
) -> AsyncIterator[Api]:
    """The API of a process whose commands are counted."""
    client: Client = AsyncMongoClient(uri, tz_aware=True, event_listeners=[round_trips])
    store = Store(client, database, cache_bytes=cache_bytes, secondaries=secondaries)
    pointers = PointerCache(store)
    runtime = Runtime(store, pointers, ResponseCache(pointers, 0), Authenticator(ANYBODY, store.api_keys))
    await runtime.pointers.start()
    async with http_client(MinVersionMiddleware(Endpoint(build_schema(), in_scope(runtime)))) as http:
        yield Api(http, runtime)
    await runtime.pointers.stop()
    await store.close()


def in_scope(runtime: Runtime) -> ContextFactory:
    """Return the function that makes the context of a request, as the application does."""
    return lambda scope: runtime.context(ANYBODY, scope[REQUEST_STATE].min_versions)
