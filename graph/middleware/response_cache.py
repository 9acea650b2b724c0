"""The way of a request that was answered before: from the connection to the response cache and back.

It does what it has to by hand, on what ASGI gives, for all of it should cost hardly more than answering a constant.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from time import perf_counter
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.asgi.headers import headers_of
from graph.asgi.media_types import EVENTS, accepted_media_type, is_json, is_utf_8
from graph.asgi.request_ids import with_given_id
from graph.cache.etags import matches
from graph.cache.response_cache import Entry
from graph.http.lingering_close import note_read
from graph.http.response import Answer
from graph.middleware.authentication import caller_of
from graph.runtime import Runtime
from graph.telemetry.requests import noted_operation

MAX_REQUEST = 16 << 10
"""Requests with a longer body or query string are not kept."""

MAX_PIECES = 8
"""Nor are those whose body comes in more pieces; nearly all come in one."""

MIN_VERSION = b"pricebook-min-version"
"""A request with this header is for someone who must see a version that may not be here yet."""

_KEEP = "pricebook.keep"


def keep(scope: Scope, answer: Answer, etag: bytes, revisions: Mapping[str, int]) -> None:
    """Keep the answer to a request for as long as the pointers' revisions are these, if it came by the cache."""
    put: Callable[[Entry], None] | None = scope.get(_KEEP)
    if put is not None:
        requests = cast("Runtime", scope["state"]["runtime"]).requests
        put(Entry(answer.headers, answer.body, etag, revisions, requests.by_operation[noted_operation()]))


class ResponseCacheMiddleware:
    """Middleware that answers what it can from the response cache of the process, and passes on all else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        began = perf_counter()
        headers = headers_of(scope)
        media_type = _answered_in(scope, headers)
        if media_type is not None:
            raw: bytes | None = scope["query_string"]
            if scope["method"] == "POST":
                messages = [await receive()]
                while messages[-1].get("more_body", False) and len(messages) < MAX_PIECES:
                    messages.append(await receive())
                receive = _again(messages, receive)
                raw = _whole(messages)
                if raw is not None:
                    note_read(scope)
            if raw is not None:
                runtime: Runtime = scope["state"]["runtime"]
                responses = runtime.responses
                key = (scope["method"], raw, media_type, caller_of(scope).view)
                entry = responses.find(key)
                if entry is not None:
                    condition = headers.get(b"if-none-match")
                    status, headers_sent, body = 200, entry.headers, entry.body
                    if condition and matches(condition, entry.etag):
                        status, headers_sent, body = 304, entry.headers[2:], b""
                    headers_sent = with_given_id(scope, headers_sent)
                    await send({"type": "http.response.start", "status": status, "headers": headers_sent})
                    await send({"type": "http.response.body", "body": body})
                    entry.stats.record_cached(status, perf_counter() - began)
                    return
                scope[_KEEP] = partial(responses.put, key)
        await self._app(scope, receive, send)


def _answered_in(scope: Scope, headers: dict[bytes, bytes]) -> str | None:
    """Return the media type of the answer to a request that is to be looked up; None for one that is not."""
    # A header that came twice has two meanings, neither of which could be looked up.
    if len(headers) != len(scope["headers"]) or MIN_VERSION in headers:
        return None
    if scope["method"] == "POST":
        kept = _is_plain(headers.get(b"content-type", b""), headers.get(b"content-length", b""))
    else:
        kept = scope["method"] == "GET" and 0 < len(scope["query_string"]) <= MAX_REQUEST
    return _media_type(headers.get(b"accept", b"")) if kept else None


@lru_cache(maxsize=256)
def _media_type(accept: bytes) -> str | None:
    text = accept.decode("latin-1")
    return None if EVENTS in text else accepted_media_type(text)


@lru_cache(maxsize=4096)
def _is_plain(content_type: bytes, content_length: bytes) -> bool:
    """Whether a body is JSON of a length that may be kept."""
    text, length = content_type.decode("latin-1"), content_length.decode("latin-1")
    return is_json(text) and is_utf_8(text) and _is_short(length)


def _is_short(length: str) -> bool:
    return length.isdecimal() and len(length) < 10 and int(length) <= MAX_REQUEST


def _whole(messages: list[Message]) -> bytes | None:
    """Return a body from its pieces; None where there is more of it."""
    if messages[-1].get("more_body", False):
        return None
    pieces: list[bytes] = [message.get("body", b"") for message in messages]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that begins with what was received already."""
    place = 0

    async def receive_again() -> Message:
        nonlocal place
        if place == len(messages):
            return await receive()
        place += 1
        return messages[place - 1]

    return receive_again
