"""The header `Pricebook-Min-Version`: versions that must have been published before a request reads their lists."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.http.errors import MinVersionInvalid
from graph.http.response import error_response
from graph.request_state import REQUEST_STATE, RequestState
from loaders import MinVersions

HEADER = "Pricebook-Min-Version"
HEADER_NAME = HEADER.lower().encode()
"""The header as ASGI names it."""

_version = re.compile(r"\d{1,10}", re.ASCII).fullmatch
_list_version = re.compile(r"\s*([^\s=,]{1,63})\s*=\s*(\d{1,10})\s*", re.ASCII).fullmatch


class MinVersionMiddleware:
    """Middleware that parses the header, and responds 400 if it is malformed, before anything is executed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an HTTP request or a WebSocket."""
        state: RequestState = scope[REQUEST_STATE]
        value = state.headers.get(HEADER_NAME)
        if value is not None:
            try:
                state.min_versions = parse(value.decode("latin-1"))
            except MinVersionInvalid as error:
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def parse(text: str) -> MinVersions:
    """Parse a header: `N` for all lists, or `LIST=N, ...` for single ones. Raises `MinVersionInvalid`."""
    text = text.strip(" \t")
    if _version(text):
        return MinVersions(int(text))
    entries = [_list_version(entry) for entry in text.split(",")]
    versions = {entry[1]: int(entry[2]) for entry in entries if entry}
    if len(versions) < len(entries):
        raise MinVersionInvalid(f"{HEADER} must be a version, as in `7`, or one for each list, as in `shop=7, ecb=31`.")
    return MinVersions(by_list=versions)
