"""An id for each request, in its answer and in all that is logged for it; and the trace that its client names."""

import itertools
import re
import secrets
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.http.headers import headers_of

HEADER = b"x-request-id"
TRACE_PARENT = b"traceparent"

Headers = list[tuple[bytes, bytes]]

_KEY = "pricebook.request_id"

_plain = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch
# https://www.w3.org/TR/trace-context-2/#traceparent-header
_trace_parent = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?").fullmatch
_process = secrets.token_hex(6).encode()
_numbers = itertools.count(1)


class Ids(NamedTuple):
    """By what a request is found: its own id, and that of the trace that its client is in."""

    request: str
    trace: str | None


_current: ContextVar[tuple[bytes, bytes | None] | None] = ContextVar("ids of the request", default=None)


class RequestIds:
    """Middleware that gives a request the id that its client sent, where that is plain, else one of ours.

    It is no coroutine, and neither is what stands before the response cache else: each costs as much as a look-up.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a connection."""
        headers = headers_of(scope)
        given = headers.get(HEADER)
        request_id = given if given and _plain(given) else b"%b-%d" % (_process, next(_numbers))
        scope[_KEY] = request_id
        _current.set((request_id, headers.get(TRACE_PARENT)))
        return self._app(scope, receive, send)


def with_request_id(scope: Scope, headers: Headers) -> Headers:
    """Return the headers of an answer with the id of its request, where it has one."""
    request_id: bytes | None = scope.get(_KEY)
    return [*headers, (HEADER, request_id)] if request_id else [*headers]


def ids() -> Ids | None:
    """Return the ids of the request that is being served; None outside of one."""
    current = _current.get()
    if current is None:
        return None
    request_id, parent = current
    found = _trace_parent(parent) if parent else None
    return Ids(request_id.decode(), found[1].decode() if found else None)
