"""The way around the API: the same documents, executed in this process on MongoDB, for the day the servers are down."""

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
from starlette.types import Receive, Scope, Send

from cli.client.sync_client import ApiError
from cli.startup import BadSettings
from graph.app import GRAPHQL, create_app
from graph.cache.response_cache import ResponseCache
from graph.identity.authenticator import Authenticator
from graph.identity.callers import Caller
from graph.identity.scopes import EVERYTHING
from graph.runtime import Runtime, open_store
from graph.settings import Settings
from loaders import PointerCache
from storage import explain

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
    # What is read is read once; and the documents of the command line are ours, whatever documents servers trust.
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
    pointers = PointerCache(store, settings.cache_bytes)
    authenticator = Authenticator(Caller(operator(), EVERYTHING), store.api_keys)
    runtime = Runtime(store, pointers, ResponseCache(pointers, settings.response_cache_bytes), authenticator)
    app = create_app(settings)

    async def with_runtime(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"runtime": runtime}}, receive, send)

    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_runtime)) as client:
            yield client
    finally:
        await pointers.stop()
        await store.close()


def operator() -> str:
    """Return who acts, as events name them: there is no server to tell it, so it is the user of this machine."""
    try:
        return f"direct:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user may have no name
        return "direct:unknown"
