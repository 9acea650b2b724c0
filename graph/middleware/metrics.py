"""Counts HTTP requests that are executed, event streams included.

The response cache counts its own responses, and `graph.http.websocket` the operations of WebSockets.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.request_state import REQUEST_STATE
from graph.runtime import Runtime


class MetricsMiddleware:
    """Middleware that counts each HTTP request with its operation, status and error code."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        runtime: Runtime = scope["state"]["runtime"]
        with runtime.requests.track(scope[REQUEST_STATE]):
            await self._app(scope, receive, send)
