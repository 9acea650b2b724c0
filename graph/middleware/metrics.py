"""Counts what is executed: HTTP requests, those that are followed too, and the operations of a WebSocket.

What the response cache answers does not come here; it is counted where it is answered.
"""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation

from graph.context import Context
from graph.runtime import Runtime
from graph.telemetry.requests import Requests, noted_status

SWITCHING_PROTOCOLS = 101

Handler = BaseGraphQLTransportWSHandler[Context, None]
RunOperation = Callable[[Any, Operation[Context, None]], Coroutine[Any, Any, None]]


class MetricsMiddleware:
    """Middleware that counts each HTTP request, with its status and what is noted of it on its way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        with _requests(scope).track() as outcome:
            try:
                await self._app(scope, receive, send)
            finally:
                outcome.status = noted_status(scope)


def metered_operation(run: RunOperation) -> RunOperation:
    """Make a handler of a WebSocket count the operations that it runs."""

    @functools.wraps(run)
    async def metered(handler: Handler, operation: Operation[Context, None]) -> None:
        socket: WebSocket = cast("ASGIWebSocketAdapter", handler.websocket).ws
        with _requests(socket.scope).track() as outcome:
            outcome.status = SWITCHING_PROTOCOLS
            await run(handler, operation)

    return metered


def _requests(scope: Scope) -> Requests:
    return cast("Runtime", scope["state"]["runtime"]).requests
