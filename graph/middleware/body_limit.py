"""A body over the limit is refused with 413: before it is read where its length was told, else once it is over."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.asgi.headers import header
from graph.http.errors import BodyTooLarge, Limit
from graph.http.lingering_close import is_lingering, note_read
from graph.http.response import Answer, error_response


class BodyLimitMiddleware:
    """Middleware that lets at most `limit` bytes of body through, and `upload_limit` of one that carries a file."""

    def __init__(self, app: ASGIApp, limit: int, upload_limit: int) -> None:
        self._app = app
        self._limit = Limit(limit, "PRICEBOOK_MAX_BODY_BYTES")
        self._upload_limit = Limit(upload_limit, "PRICEBOOK_MAX_UPLOAD_BYTES")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_file = header(scope, b"content-type").lower().startswith("multipart/")
        limit = self._upload_limit if has_file else self._limit
        length = header(scope, b"content-length")
        if length.isdigit() and int(length) > limit.bytes:
            await _refusal(BodyTooLarge(limit))(scope, receive, send)
            return
        try:
            await self._app(scope, _counting(scope, receive, limit), send)
        except BodyTooLarge as refused:
            await _refusal(refused)(scope, receive, send)


def _refusal(refused: BodyTooLarge) -> Answer:
    return error_response(413, refused.code, str(refused))


def _counting(scope: Scope, receive: Receive, limit: Limit) -> Receive:
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit.bytes and not is_lingering(scope):
            raise BodyTooLarge(limit)
        if not message.get("more_body", False):
            note_read(scope)
        return message

    return counting
