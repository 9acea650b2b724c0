"""The header `Pricebook-Min-Version`: which versions a request wants to see at the least."""

import re

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from graph.asgi.headers import headers_of
from graph.http.errors import BadRequest
from graph.http.response import error_response
from loaders import MinVersions

HEADER = "Pricebook-Min-Version"

_NAME = HEADER.lower().encode()
_KEY = "pricebook.min_versions"
_number = re.compile(r"\d{1,10}", re.ASCII).fullmatch
_entry = re.compile(r"\s*([^\s=,]{1,63})\s*=\s*(\d{1,10})\s*", re.ASCII).fullmatch


class MinVersionMiddleware:
    """Reads the header, and answers 400 where it cannot be read; so this is told before anything is done."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, or a WebSocket."""
        given = headers_of(scope).get(_NAME)
        if given is not None:
            try:
                scope[_KEY] = parse(given.decode("latin-1"))
            except BadRequest as bad:
                await _refuse(bad, scope, receive, send)
                return
        await self._app(scope, receive, send)


def min_versions_of(scope: Scope) -> MinVersions | None:
    """Return what the header of a request asks for; None without one."""
    found: MinVersions | None = scope.get(_KEY)
    return found


def parse(text: str) -> MinVersions:
    """Return what a header asks for: `N`, or `LIST=N` as often as there are lists. Raises `BadRequest`."""
    text = text.strip(" \t")
    if _number(text):
        return MinVersions(int(text))
    entries = [_entry(part) for part in text.split(",")]
    wanted = {entry[1]: int(entry[2]) for entry in entries if entry}
    if len(wanted) < len(entries):
        raise BadRequest(
            400,
            "MIN_VERSION_INVALID",
            f"{HEADER} is a version, as 7, or one for each of some lists, as shop=7, ecb=31.",
        )
    return MinVersions(by_list=wanted)


async def _refuse(bad: BadRequest, scope: Scope, receive: Receive, send: Send) -> None:
    response = error_response(400, bad.code, bad.message)
    if scope["type"] == "http":
        await response(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        await WebSocket(scope, receive, send).send_denial_response(Response(response.body, 400))
    else:
        await WebSocket(scope, receive, send).close(1008, bad.code)
