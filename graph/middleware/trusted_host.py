"""Protects a server that grants anonymous callers more than reading against DNS rebinding.

A web page can resolve its own host name to 127.0.0.1. The browser then sends requests to this server on behalf of that
page, but with the page's host name in `Host`.
"""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.asgi.short_cache import cache_short
from graph.http.errors import MisdirectedRequest
from graph.http.response import error_response
from graph.request_state import REQUEST_STATE, RequestState

LOOPBACK_HOSTS = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})


class TrustedHostMiddleware:
    """Middleware that accepts only requests whose `Host` is a name of the loopback interface."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a connection, or refuse it."""
        state: RequestState = scope[REQUEST_STATE]
        return (self._app if _is_loopback(state.headers.get(b"host", b"")) else _refuse)(scope, receive, send)


@cache_short
def _is_loopback(host: bytes) -> bool:
    name = host if host.endswith(b"]") else host.rpartition(b":")[0] or host
    return name.lower() in LOOPBACK_HOSTS


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    error = MisdirectedRequest("This server accepts only requests to localhost or 127.0.0.1. Use one of these names.")
    await error_response(error)(scope, receive, send)
