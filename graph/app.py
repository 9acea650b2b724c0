"""The ASGI application: its lifespan, its routes, and its middleware in order."""

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
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from graph.cache.cache_control import CacheControl
from graph.context import Context
from graph.graphiql import page as graphiql
from graph.http.endpoint import Endpoint
from graph.http.errors import InternalServerError
from graph.http.health import healthz, readyz
from graph.http.response import HTTPResponse, error_response
from graph.http.trusted_documents import TrustedDocuments
from graph.limits.rates import RateLimiter
from graph.limits.slots import subscription_slots
from graph.middleware.authentication import AuthenticationMiddleware
from graph.middleware.body_limit import BodyLimitMiddleware
from graph.middleware.metrics import MetricsMiddleware
from graph.middleware.min_version import MinVersionMiddleware
from graph.middleware.preview import PreviewMiddleware
from graph.middleware.request_state import RequestStateMiddleware
from graph.middleware.response_cache import ResponseCacheMiddleware
from graph.middleware.trusted_host import TrustedHostMiddleware
from graph.middleware.trusted_proxies import TrustedProxies
from graph.request_state import REQUEST_STATE, RequestState
from graph.runtime import Runtime
from graph.schema.build import build_schema
from graph.settings import Settings, SettingsError
from graph.telemetry.traces import TRACES

GARBAGE_THRESHOLD = 10_000
"""Number of new container objects at which the youngest generation is collected: some milliseconds of allocation."""

GRAPHQL = "/graphql"
"""Path of the endpoint."""


class _LifespanState(TypedDict):
    runtime: Runtime


def create_app(settings: Settings) -> Starlette:
    """Return the ASGI application. Raises `SettingsError` without a MongoDB URI."""
    uri = settings.mongodb_uri
    if uri is None:
        raise SettingsError(
            ["PRICEBOOK_MONGODB_URI is not set. Set it, or use `pricebook serve`, which starts a replica set."]
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[_LifespanState]:
        async with Runtime.opened(uri, settings) as runtime:
            yield {"runtime": runtime}
        await asyncio.to_thread(TRACES.stop)

    rate_limiter = RateLimiter(settings.max_rate)
    endpoint = Endpoint(
        build_schema(),
        _context,
        settings.limits(),
        settings.body_limits(),
        settings.max_file_bytes,
        TrustedDocuments.from_settings(settings),
        CacheControl(settings.cache_max_age, settings.cache_stale_while_revalidate),
        subscription_slots(settings.max_subscriptions),
        rate_limiter,
        settings.cors_origins.split(),
        ide=settings.ide,
    )
    # From the innermost to the outermost.
    graphql: ASGIApp = BodyLimitMiddleware(endpoint, settings.body_limits())
    graphql = PreviewMiddleware(MinVersionMiddleware(graphql))
    graphql = MetricsMiddleware(ServerErrorMiddleware(graphql, cast("Any", _internal_error)))
    if settings.response_cache_bytes:
        graphql = ResponseCacheMiddleware(graphql)
    proxies = TrustedProxies(settings.balancers.split())
    graphql = AuthenticationMiddleware(graphql, rate_limiter, proxies)
    if settings.cors_origins:
        graphql = _with_cors(graphql, settings.cors_origins.split())
    websocket: ASGIApp = PreviewMiddleware(MinVersionMiddleware(endpoint))
    websocket = AuthenticationMiddleware(websocket, rate_limiter, proxies)
    if settings.is_open:
        graphql, websocket = TrustedHostMiddleware(graphql), TrustedHostMiddleware(websocket)
    graphql = RequestStateMiddleware(TRACES.instrument(graphql))
    return _Application(
        graphql,
        routes=[
            Route(GRAPHQL, graphql),
            WebSocketRoute(GRAPHQL, RequestStateMiddleware(websocket)),
            Route("/", _to_endpoint),
            *([Route(f"{graphiql.PATH}/{{name}}", graphiql.serve_file)] if settings.ide else []),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        lifespan=lifespan,
    )


class _Application(Starlette):
    """Starlette, with a shortcut past the router for requests to the endpoint, which are nearly all."""

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
    """Return the application configured by the environment; the factory that each worker of `pricebook serve` calls."""
    TRACES.start()
    tune_garbage_collector()
    return create_app(Settings.from_environment(os.environ))


def tune_garbage_collector() -> None:
    """Exempt all objects so far from garbage collections, such as those of modules, and make these rarer."""
    # Rows are created by the thousand: the default of 700 objects is too low.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


async def _to_endpoint(_: Request) -> RedirectResponse:
    return RedirectResponse(GRAPHQL)


async def _internal_error(_request: Request, _error: Exception) -> HTTPResponse:
    return error_response(
        InternalServerError("Internal error. Its details are in the server's log, under this response's X-Request-ID.")
    )


def _context(scope: Scope) -> Context:
    runtime: Runtime = scope["state"]["runtime"]
    state: RequestState = scope[REQUEST_STATE]
    return runtime.context(state.caller, state.min_versions, state.preview)


def _with_cors(app: ASGIApp, origins: list[str]) -> ASGIApp:
    # Tracing and error reporting add headers of their own, and none is more powerful than `Authorization`.
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["ETag", "Retry-After", "X-Request-ID"],
    )
