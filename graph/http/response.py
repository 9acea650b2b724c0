"""Answers, as they go out: a status, headers that say who may keep it, a body."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from graph.asgi.media_types import JSON
from graph.asgi.request_ids import Headers, with_request_id
from graph.http.lingering_close import is_unread, send_and_linger
from graph.telemetry.requests import note_code, note_status

VARY = (b"vary", b"Accept, Authorization")
NO_STORE = (b"cache-control", b"no-store")

_encode = msgspec.json.Encoder().encode


class Answer:
    """An HTTP response that is ready to be sent; an ASGI application.

    `code` is that of the first error that it tells.
    """

    __slots__ = ("body", "code", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes, code: str | None = None) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if self.code is not None:
            note_code(self.code)
        note_status(scope, self.status)
        headers = with_request_id(scope, self.headers)
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        if is_unread(scope):
            await send_and_linger(scope, start, self.body, receive, send)
            return
        await send(start)
        await send({"type": "http.response.body", "body": self.body})

    def not_modified(self) -> "Answer":
        """Return the answer to who has this one already: its headers, but for those of the body."""
        return Answer(304, self.headers[2:], b"")


def answer(body: bytes, status: int, content_type: str, kept: Headers | None = None) -> Answer:
    """Return an answer; the headers of its body come first.

    `kept` are the headers that say how it may be kept; without them it may not.
    """
    return Answer(
        status,
        [
            (b"content-type", content_type.encode("latin-1")),
            (b"content-length", str(len(body)).encode()),
            VARY,
            *(kept or (NO_STORE,)),
        ],
        body,
    )


def json_response(body: Any, status: int = 200, media_type: str = JSON, kept: Headers | None = None) -> Answer:
    """Return an answer with a JSON body."""
    response = answer(_encode(body), status, f"{media_type}; charset=utf-8", kept)
    if isinstance(body, dict) and body.get("errors"):
        response.code = body["errors"][0]["extensions"]["code"]
    return response


def error_response(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, media_type: str = JSON
) -> Answer:
    """Return an answer that says why a request was not executed."""
    response = json_response({"errors": [{"message": message, "extensions": {"code": code}}]}, status, media_type)
    response.headers += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return response


def not_modified(kept: Headers) -> Answer:
    """Return the answer to who has it already."""
    return Answer(304, [VARY, *kept], b"")
