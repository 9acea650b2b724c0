"""The way around the API: the same documents, executed in this process on MongoDB, for the day the servers are down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
from starlette.types import Receive, Scope, Send

from graph.app import GRAPHQL, create_app
from graph.cli.api import ApiError
from graph.cli.start import BadSettings
from graph.http.response_cache import ResponseCache
from graph.runtime import Runtime
from graph.settings import Settings
from loaders import Heads
from storage import Store, explain

ENDPOINT = f"http://direct{GRAPHQL}"


@asynccontextmanager
async def open_direct(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Yield an HTTP client that the API answers in this process, at `ENDPOINT`.

    It serves nobody else: it follows no pointers but reads them, tells no heartbeat, and takes no work of others over.
    Raises `ApiError` where MongoDB does not answer, and `BadSettings` where none is named.
    """
    uri = settings.mongodb_uri
    if uri is None:
        raise BadSettings("Set PRICEBOOK_MONGODB_URI: --direct goes straight to MongoDB.")
    # What is read is read once.
    settings = replace(settings, cache_bytes=0, response_cache_bytes=0)
    try:
        store = await Store.open(uri, settings.mongodb_database, max_scan=settings.max_scan)
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        raise ApiError(known.message) from error
    heads = Heads(store, settings.cache_bytes)
    runtime = Runtime(store, heads, ResponseCache(heads, settings.response_cache_bytes))
    app = create_app(settings)

    async def with_runtime(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"runtime": runtime}}, receive, send)

    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_runtime)) as client:
            yield client
    finally:
        await heads.stop()
        await store.close()
