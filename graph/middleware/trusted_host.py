"""A server that is open to this machine answers nobody who calls it by another name.

A page of any site can have its own name lead to 127.0.0.1 (DNS rebinding): its browser takes the server for that site
then, but sends that name.
"""

from collections.abc import Awaitable
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.asgi.headers import headers_of
from graph.http.response import error_response

NAMES = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})


class TrustedHostMiddleware:
    """Middleware that lets through what is addressed to this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a connection, or refuse it."""
        return (self._app if _is_own(headers_of(scope).get(b"host", b"")) else _refuse)(scope, receive, send)


@lru_cache(maxsize=256)
def _is_own(host: bytes) -> bool:
    name = host if host.endswith(b"]") else host.rpartition(b":")[0] or host
    return name.lower() in NAMES


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        message = "This server is open to its own machine alone. Call it as localhost or 127.0.0.1."
        await error_response(421, "NOT_THIS_SERVER", message)(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": "NOT_THIS_SERVER"})
