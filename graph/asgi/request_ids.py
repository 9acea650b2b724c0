"""An id for each request, in its answer and in all that is logged for it; and the trace that its client names."""

import itertools
import re
import secrets
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.asgi.headers import headers_of

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


_current: ContextVar[Scope | None] = ContextVar("scope of the request", default=None)


class RequestIdMiddleware:
    """Middleware by which a request has an id: that which its client sent, where that is plain, else one of ours.

    It is no coroutine, and neither is what stands before the response cache else: each costs as much as a look-up. For
    the same reason an id of ours is made when it is first asked for.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a connection."""
        _current.set(scope)
        return self._app(scope, receive, send)


def with_request_id(scope: Scope, headers: Headers) -> Headers:
    """Return the headers of an answer with the id of its request."""
    return [*headers, (HEADER, _id(scope))]


def with_given_id(scope: Scope, headers: Headers) -> Headers:
    """Return the headers of an answer from memory, for which nothing is logged: with the id only of who sent one."""
    return with_request_id(scope, headers) if HEADER in headers_of(scope) else [*headers]


def ids() -> Ids | None:
    """Return the ids of the request that is being served; None outside of one."""
    scope = _current.get()
    if scope is None:
        return None
    parent = headers_of(scope).get(TRACE_PARENT)
    found = _trace_parent(parent) if parent else None
    return Ids(_id(scope).decode(), found[1].decode() if found else None)


def _id(scope: Scope) -> bytes:
    known: bytes | None = scope.get(_KEY)
    if known is None:
        given = headers_of(scope).get(HEADER)
        known = scope[_KEY] = given if given and _plain(given) else b"%b-%d" % (_process, next(_numbers))
    return known
