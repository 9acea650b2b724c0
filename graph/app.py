"""The application: what is open while it serves, its routes, and its middleware in order."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from graph import schema
from graph.context import Context
from graph.http.body_limit import BodyLimit
from graph.http.endpoint import Endpoint
from graph.http.health import healthz, readyz
from graph.http.min_version import MinVersion, min_versions_of
from graph.runtime import Runtime
from graph.settings import Settings, SettingsError


class _State(TypedDict):
    runtime: Runtime


def create_app(settings: Settings) -> Starlette:
    """Return the ASGI application. Raises `SettingsError` without a MongoDB URI."""
    uri = settings.mongodb_uri
    if uri is None:
        raise SettingsError(["PRICEBOOK_MONGODB_URI is not set; `pricebook serve` starts a replica set of its own."])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[_State]:
        async with Runtime.opened(
            uri,
            settings.mongodb_database,
            cache_bytes=settings.cache_bytes,
            secondaries=settings.read_from == "secondaries",
        ) as runtime:
            yield {"runtime": runtime}

    endpoint = Endpoint(schema.build(), _context, settings.max_file_bytes)
    return Starlette(
        routes=[
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", endpoint),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        middleware=[
            Middleware(BodyLimit, limit=settings.max_body_bytes, upload_limit=settings.max_upload_bytes),
            Middleware(MinVersion),
        ],
        lifespan=lifespan,
    )


def app_from_environment() -> Starlette:
    """Return the application that the environment asks for; what each worker of `pricebook serve` runs."""
    return create_app(Settings.from_environment(os.environ))


def _context(request: Request | WebSocket) -> Context:
    runtime: Runtime = request.state.runtime
    return runtime.context(min_versions_of(request.scope))
