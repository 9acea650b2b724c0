"""The application: what is open while it serves, its routes, and its middleware in order."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypedDict, cast

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send
from starlette.websockets import WebSocket

from graph.asgi.request_ids import RequestIdMiddleware
from graph.cache.cache_control import CacheControl
from graph.context import Context
from graph.http.endpoint import Endpoint
from graph.http.health import healthz, readyz
from graph.http.multipart import PREFLIGHT
from graph.http.response import Answer, error_response
from graph.http.trusted_documents import TrustedDocuments
from graph.limits.rates import Rates
from graph.limits.subscriptions import Subscriptions
from graph.middleware.authentication import AuthenticationMiddleware, caller_of
from graph.middleware.body_limit import BodyLimitMiddleware
from graph.middleware.metrics import MetricsMiddleware
from graph.middleware.min_version import HEADER, MinVersionMiddleware, min_versions_of
from graph.middleware.response_cache import ResponseCacheMiddleware
from graph.middleware.trusted_host import TrustedHostMiddleware
from graph.middleware.trusted_proxies import TrustedProxies
from graph.runtime import Runtime
from graph.schema.build import build_schema
from graph.settings import Settings, SettingsError
from graph.telemetry.traces import TRACES

GARBAGE_THRESHOLD = 10_000
"""So many new container objects are made before the collector looks for cycles among them: some milliseconds of it."""

GRAPHQL = "/graphql"
"""Where the endpoint is."""


class _State(TypedDict):
    runtime: Runtime


def create_app(settings: Settings) -> Starlette:
    """Return the ASGI application. Raises `SettingsError` without a MongoDB URI."""
    uri = settings.mongodb_uri
    if uri is None:
        raise SettingsError(["PRICEBOOK_MONGODB_URI is not set; `pricebook serve` starts a replica set of its own."])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[_State]:
        async with Runtime.opened(uri, settings) as runtime:
            yield {"runtime": runtime}
        await asyncio.to_thread(TRACES.stop)

    rates = Rates(settings.max_rate)
    endpoint = Endpoint(
        build_schema(),
        _context,
        settings.limits(),
        settings.max_file_bytes,
        TrustedDocuments.of(settings),
        CacheControl(settings.cache_max_age, settings.cache_stale_while_revalidate),
        Subscriptions(settings.max_subscriptions),
        rates,
        settings.cors_origins.split(),
        ide=settings.ide,
    )
    # What a request to the endpoint passes, from the inside to the outside.
    graphql: ASGIApp = BodyLimitMiddleware(endpoint, settings.max_body_bytes, settings.max_upload_bytes)
    graphql = MetricsMiddleware(ServerErrorMiddleware(MinVersionMiddleware(graphql), cast("Any", _failed)))
    if settings.response_cache_bytes:
        graphql = ResponseCacheMiddleware(graphql)
    balancers = TrustedProxies(settings.balancers.split())
    graphql = AuthenticationMiddleware(graphql, rates, balancers)
    if settings.cors_origins:
        graphql = _cross_origin(graphql, settings.cors_origins.split())
    websocket: ASGIApp = AuthenticationMiddleware(MinVersionMiddleware(endpoint), rates, balancers)
    if settings.is_open:
        graphql, websocket = TrustedHostMiddleware(graphql), TrustedHostMiddleware(websocket)
    graphql = RequestIdMiddleware(TRACES.instrument(graphql))
    return _Application(
        graphql,
        routes=[
            Route(GRAPHQL, graphql),
            WebSocketRoute(GRAPHQL, RequestIdMiddleware(websocket)),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        lifespan=lifespan,
    )


class _Application(Starlette):
    """Starlette, but that a request to the endpoint, which is nearly every one, does not look for its route."""

    def __init__(self, graphql: ASGIApp, routes: list[BaseRoute], lifespan: Lifespan[Starlette]) -> None:
        super().__init__(routes=routes, lifespan=lifespan)
        self._graphql = graphql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] == "http" and scope["path"] == GRAPHQL:
            await self._graphql(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def app_from_environment() -> Starlette:
    """Return the application that the environment asks for; what each worker of `pricebook serve` runs."""
    TRACES.start()
    _collect_rarely()
    return create_app(Settings.from_environment(os.environ))


def _collect_rarely() -> None:
    # What is imported stays for good, and rows come by the thousand: neither is worth a look at every 700 objects.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


async def _failed(_request: Request, _error: Exception) -> Answer:
    return error_response(500, "INTERNAL", "This failed, and is in the log with the id of the request.")


def _context(request: Request | WebSocket) -> Context:
    runtime: Runtime = request.scope["state"]["runtime"]
    return runtime.context(caller_of(request.scope), min_versions_of(request.scope))


def _cross_origin(app: ASGIApp, origins: list[str]) -> ASGIApp:
    headers = ["Authorization", "If-None-Match", PREFLIGHT, HEADER]
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=headers, expose_headers=["ETag"]
    )
