"""HTTP responses: JSON bodies, errors, and cache headers."""

from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import ExecutionResult, GraphQLError
from starlette.types import Receive, Scope, Send

from graph.asgi.headers import Headers
from graph.asgi.media_types import JSON
from graph.documents.errors import RequestErrors
from graph.http.errors import HTTPError, MethodNotAllowed
from graph.http.lingering_close import send_and_linger
from graph.identity.callers import AccessError, Unauthenticated
from graph.limits.limits import OverLimit
from graph.request_state import REQUEST_STATE, RequestState
from graph.schema.errors import format_error

VARY = (b"vary", b"Accept, Authorization, Pricebook-Preview")
NO_STORE = (b"cache-control", b"no-store")
PRIVATE_NO_STORE = (b"cache-control", b"private, no-store")
CHALLENGE = {"www-authenticate": 'Bearer realm="pricebook"'}
"""Header of a 401 response (RFC 6750)."""

SERVICE_UNAVAILABLE = 503

_WEBSOCKET_POLICY_VIOLATION = 1008

_encode = msgspec.json.Encoder().encode


class HTTPResponse:
    """A complete HTTP response; an ASGI application. `code` is that of its first error.

    Sent to a WebSocket that is not accepted yet it refuses the connection.
    """

    __slots__ = ("body", "code", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes, code: str | None = None) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, with the id of its request."""
        state: RequestState = scope[REQUEST_STATE]
        state.status = self.status
        if self.code is not None:
            state.add_error(self.code)
        headers = state.with_request_id(self.headers)
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        if scope["type"] == "websocket":
            await self._refuse_websocket(scope, start, send)
        elif scope["method"] == "POST" and not state.is_body_received:
            await send_and_linger(state, start, self.body, receive, send)
        else:
            await send(start)
            await send({"type": "http.response.body", "body": self.body})

    def not_modified(self) -> "HTTPResponse":
        """Return the 304 response to a client that has this one: its headers without those of the body."""
        return HTTPResponse(304, self.headers[2:], b"")

    async def _refuse_websocket(self, scope: Scope, start: dict[str, Any], send: Send) -> None:
        if "websocket.http.response" in scope.get("extensions", {}):
            await send({**start, "type": "websocket.http.response.start"})
            await send({"type": "websocket.http.response.body", "body": self.body})
        else:
            await send({"type": "websocket.close", "code": _WEBSOCKET_POLICY_VIOLATION, "reason": self.code or ""})


def make_response(body: bytes, status: int, content_type: str, cache_headers: Headers | None = None) -> HTTPResponse:
    """Return a response; the headers of its body come first. Without `cache_headers` it must not be stored."""
    return HTTPResponse(
        status,
        [
            (b"content-type", content_type.encode("latin-1")),
            (b"content-length", str(len(body)).encode()),
            VARY,
            *(cache_headers or (NO_STORE,)),
        ],
        body,
    )


def json_response(
    body: Any, status: int = 200, media_type: str = JSON, cache_headers: Headers | None = None
) -> HTTPResponse:
    """Return a response with a JSON body."""
    response = make_response(_encode(body), status, f"{media_type}; charset=utf-8", cache_headers)
    if isinstance(body, dict) and body.get("errors"):
        response.code = body["errors"][0]["extensions"]["code"]
    return response


def error_response(
    error: HTTPError | OverLimit | AccessError,
    status: int | None = None,
    media_type: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> HTTPResponse:
    """Return the response to a request that is refused. `status` is for errors that have none; by default 400."""
    body = {"errors": [{"message": error.message, "extensions": {"code": error.code}}]}
    response = json_response(body, error.status or status or 400, media_type)
    if isinstance(error, Unauthenticated):
        headers = CHALLENGE
    elif isinstance(error, MethodNotAllowed):
        headers = {"allow": error.allowed}
    elif isinstance(error, OverLimit) and error.status == SERVICE_UNAVAILABLE:
        headers = {"retry-after": "1"}
    response.headers += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return response


def graphql_errors(error: Exception) -> list[GraphQLError]:
    """Return the errors that a result reports if its operation was refused or has failed with this error."""
    if isinstance(error, RequestErrors):
        return error.errors
    if isinstance(error, HTTPError | OverLimit | AccessError):
        return [GraphQLError(error.message, extensions={"code": error.code})]
    return [GraphQLError(str(error), original_error=error)]


def result_body(result: ExecutionResult) -> dict[str, Any]:
    """Return the body of a response with a result. It has no `data` if nothing was executed."""
    body: dict[str, Any] = {}
    if result.errors:
        body["errors"] = [format_error(error) for error in result.errors]
    if not is_request_error(result):
        body["data"] = result.data
    return body


def is_request_error(result: ExecutionResult) -> bool:
    """Whether the operation of a result was not executed."""
    return bool(result.errors) and result.data is None and not any(error.path for error in result.errors or ())


def not_modified(cache_headers: Headers) -> HTTPResponse:
    """Return the 304 response to a client that has the response of an ETag."""
    return HTTPResponse(304, [VARY, *cache_headers], b"")
