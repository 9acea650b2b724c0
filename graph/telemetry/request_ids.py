"""An id for each request, in its answer and in all that is logged for it; and the trace that its client names."""

import itertools
import re
import secrets
from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = b"x-request-id"
TRACE_PARENT = b"traceparent"

_plain = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch
# https://www.w3.org/TR/trace-context-2/#traceparent-header
_trace_parent = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?").fullmatch
_process = secrets.token_hex(6)
_numbers = itertools.count(1)


class Ids(NamedTuple):
    """By what a request is found: its own id, and that of the trace that its client is in."""

    request: str
    trace: str | None


_current: ContextVar[Ids | None] = ContextVar("ids of the request", default=None)


class RequestIds:
    """Middleware that gives a request the id that its client sent, where that is plain, else one of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        request_id, trace = None, None
        for name, value in scope["headers"]:
            if name == HEADER and _plain(value):
                request_id = value
            elif name == TRACE_PARENT and (found := _trace_parent(value)):
                trace = found[1].decode()
        if request_id is None:
            request_id = f"{_process}-{next(_numbers)}".encode()
        _current.set(Ids(request_id.decode(), trace))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((HEADER, request_id))
            await send(message)

        await self._app(scope, receive, send_with_id)


def ids() -> Ids | None:
    """Return the ids of the request that is being served; None outside of one."""
    return _current.get()
