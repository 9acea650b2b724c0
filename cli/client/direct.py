"""The transport of `--direct`: the API runs in this process, on MongoDB, when no server responds."""

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
from starlette.types import Receive, Scope, Send

from cli.client.errors import ApiError
from cli.startup import read_settings, require_mongodb_uri
from graph.app import GRAPHQL, create_app
from graph.cache.response_cache import ResponseCache
from graph.identity.authenticator import Authenticator
from graph.identity.callers import Caller
from graph.identity.scopes import EVERYTHING
from graph.runtime import Runtime, open_store
from loaders import PointerCache
from storage import explain

DIRECT_ENDPOINT = f"http://direct{GRAPHQL}"


@asynccontextmanager
async def open_direct_transport() -> AsyncIterator[httpx.ASGITransport]:
    """Run the API in this process and yield the transport that reaches it at `DIRECT_ENDPOINT`.

    The process is no server: it reads pointers instead of watching them, sends no heartbeat, and takes over no batches.
    Raises `ApiError` if MongoDB does not respond, `BadSettings` if no MongoDB is configured.
    """
    settings = read_settings()
    uri = require_mongodb_uri(settings)
    # A command reads everything once, so caches do not help; its documents need no allow-list.
    settings = replace(
        settings,
        cache_bytes=0,
        response_cache_bytes=0,
        trusted_documents=None,
        trusted_documents_only=False,
        max_rate=0,
    )
    try:
        store = await open_store(uri, settings)
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        raise ApiError(known.message) from error
    pointers = PointerCache(store)
    authenticator = Authenticator(Caller(operator(), EVERYTHING), store.api_keys)
    runtime = Runtime(store, pointers, ResponseCache(pointers, settings.response_cache_bytes), authenticator)
    app = create_app(settings)

    async def with_runtime(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"runtime": runtime}}, receive, send)

    try:
        yield httpx.ASGITransport(with_runtime)
    finally:
        await pointers.stop()
        await store.worker.stop()
        await store.close()


def operator() -> str:
    """Return the caller that events record: the user of this machine, since no server authenticates one."""
    try:
        return f"direct:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user may have no name
        return "direct:unknown"
