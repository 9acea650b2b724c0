"""Middleware that keeps pages of other origins from using a session, and the console's pages from asking anyone else.

Cookies do not tell the ports of a host apart: a page of another server on this machine sends them, too. So the origin
that the browser names decides, for requests and for WebSockets alike.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_HEADERS = {
    # Vue compiles templates in the browser, which needs `unsafe-eval`.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class OriginGuardMiddleware:
    """Refuses requests of other origins, except that a link may lead to a page.

    With `loopback_only`, refuses host names other than this machine's: a page may resolve its own name to 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, *, loopback_only: bool) -> None:
        self._app = app
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection, or refuse it with status 403."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
        elif reason := self._objection(scope):
            await _refuse(reason, scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, _HEADERS.items()))

    def _objection(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._loopback_only and not _is_loopback(host):
            return "This console accepts only requests to localhost or 127.0.0.1."
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return "Pages of other origins may not use this console."
        if headers.get("sec-fetch-site") in {"cross-site", "same-site"} and not _follows_link(scope, headers):
            return "Pages of other origins may only link to this console."
        return None


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK_NAMES
    except ValueError:  # malformed
        return False


def _follows_link(scope: Scope, headers: Headers) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


async def _refuse(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: status 403
    else:
        await PlainTextResponse(reason, status_code=403)(scope, receive, send)


def _with_headers(send: Send, headers: Iterable[tuple[str, str]]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            response_headers = MutableHeaders(scope=message)
            for name, value in headers:
                response_headers[name] = value
        await send(message)

    return send_with_headers
