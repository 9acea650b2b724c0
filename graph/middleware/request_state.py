"""Creates the state of each request; the outermost middleware."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.asgi.headers import headers_by_name
from graph.request_state import REQUEST_STATE, RequestState, current_request


class RequestStateMiddleware:
    """Middleware that adds a `RequestState` to the scope.

    Like all middleware outside the response cache it is not a coroutine function: awaiting one costs as much as a
    cache lookup.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a connection."""
        state = scope[REQUEST_STATE] = RequestState(headers_by_name(scope["headers"]))
        current_request.set(state)
        return self._app(scope, receive, send)
