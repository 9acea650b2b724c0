"""The fast path: serves a request from the response cache of the process.

Written on plain ASGI and without helpers, because a cached response should cost little more than a constant one.
"""

from functools import lru_cache
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.asgi.bodies import join_body
from graph.asgi.media_types import accepted_media_types, is_json, is_utf_8
from graph.asgi.request_ids import REQUEST_ID
from graph.asgi.short_cache import MAX_CACHED_LENGTH
from graph.cache.etags import matches
from graph.identity.previews import HEADER_NAME as PREVIEW
from graph.middleware.min_version import HEADER_NAME as MIN_VERSION
from graph.request_state import REQUEST_STATE, RequestState
from graph.runtime import Runtime

MAX_REQUEST_BYTES = 16 << 10
"""Longest body or query string of a request whose response is cached."""

MAX_BODY_MESSAGES = 8
"""Highest number of messages of a body whose response is cached; nearly all bodies have one."""


class ResponseCacheMiddleware:
    """Middleware that serves requests from the response cache, and passes on those that are not in it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        started_at = perf_counter()
        state: RequestState = scope[REQUEST_STATE]
        headers = state.headers
        media_type = _cacheable_media_type(scope, headers)
        if media_type is not None:
            request: bytes | None = scope["query_string"]
            if scope["method"] == "POST":
                messages = [await receive()]
                while messages[-1].get("more_body", False) and len(messages) < MAX_BODY_MESSAGES:
                    messages.append(await receive())
                receive = _replay(messages, receive)
                if messages[-1].get("more_body", False):
                    request = None
                else:
                    request = join_body(messages)
                    state.is_body_received = True
            if request is not None:
                runtime: Runtime = scope["state"]["runtime"]
                key = (scope["method"], request, media_type, state.caller.view)
                entry = runtime.responses.find(key)
                if entry is not None:
                    condition = headers.get(b"if-none-match")
                    status, response_headers, body = 200, entry.headers, entry.body
                    if condition and entry.may_revalidate and matches(condition, entry.etag):
                        status, response_headers, body = 304, entry.headers[2:], b""
                    # Nothing is logged for such a request, so it gets no id unless its client sent one.
                    if REQUEST_ID in headers:
                        response_headers = state.with_request_id(response_headers)
                    else:
                        response_headers = [*response_headers]
                    await send({"type": "http.response.start", "status": status, "headers": response_headers})
                    await send({"type": "http.response.body", "body": body})
                    entry.stats.record_cached(status, perf_counter() - started_at)
                    return
                state.cache_key = key
        await self._app(scope, receive, send)


def _cacheable_media_type(scope: Scope, headers: dict[bytes, bytes]) -> str | None:
    """Return the media type of the response to a request that may be cached; None for other requests."""
    # A repeated header is ambiguous. A minimum version may not have arrived at this process yet. A preview is private.
    if len(headers) != len(scope["headers"]) or MIN_VERSION in headers or PREVIEW in headers:
        return None
    accept = headers.get(b"accept", b"")
    if scope["method"] == "POST":
        content_type, length = headers.get(b"content-type", b""), headers.get(b"content-length", b"")
        if len(accept) + len(content_type) + len(length) <= MAX_CACHED_LENGTH:
            return _cached_media_type(content_type, length, accept)
        return _media_type(content_type, length, accept)
    if scope["method"] == "GET" and 0 < len(scope["query_string"]) <= MAX_REQUEST_BYTES:
        return accepted_media_types(accept.decode("latin-1")).json
    return None


def _media_type(content_type: bytes, content_length: bytes, accept: bytes) -> str | None:
    text = content_type.decode("latin-1")
    if not (is_json(text) and is_utf_8(text) and content_length.isdigit() and len(content_length) < 10):
        return None
    return accepted_media_types(accept.decode("latin-1")).json if int(content_length) <= MAX_REQUEST_BYTES else None


_cached_media_type = lru_cache(4096)(_media_type)


def _replay(messages: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that first returns messages that were received before."""
    replayed = 0

    async def replaying() -> Message:
        nonlocal replayed
        if replayed == len(messages):
            return await receive()
        replayed += 1
        return messages[replayed - 1]

    return replaying
