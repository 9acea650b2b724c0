"""Limits request bodies: 413 before reading if `Content-Length` is over the limit, else as soon as the body is."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.http.errors import BodyLimit, BodyTooLarge
from graph.http.response import error_response
from graph.request_state import REQUEST_STATE, RequestState


class BodyLimitMiddleware:
    """Middleware that limits the bytes of a body: to `limit`, or to `upload_limit` for a multipart body."""

    def __init__(self, app: ASGIApp, limit: int, upload_limit: int) -> None:
        self._app = app
        self._limit = BodyLimit(limit, "PRICEBOOK_MAX_BODY_BYTES")
        self._upload_limit = BodyLimit(upload_limit, "PRICEBOOK_MAX_UPLOAD_BYTES")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: RequestState = scope[REQUEST_STATE]
        is_multipart = state.header(b"content-type").lower().startswith("multipart/")
        limit = self._upload_limit if is_multipart else self._limit
        length = state.header(b"content-length")
        if length.isdigit() and int(length) > limit.bytes:
            await error_response(BodyTooLarge(limit))(scope, receive, send)
            return
        try:
            await self._app(scope, _limited(receive, limit, state), send)
        except BodyTooLarge as error:
            await error_response(error)(scope, receive, send)


def _limited(receive: Receive, limit: BodyLimit, state: RequestState) -> Receive:
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit.bytes and not state.is_lingering:
            raise BodyTooLarge(limit)
        if not message.get("more_body", False):
            state.is_body_received = True
        return message

    return limited
