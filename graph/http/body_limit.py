"""A body over the limit is refused with 413: before it is read where its length was told, else once it is over."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.http.answers import error_response


class BodyTooLarge(Exception):
    """More bytes came than are allowed."""


class BodyLimit:
    """Middleware that lets at most `limit` bytes of body through."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > self._limit:
            await self._refuse(scope, receive, send)
            return
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise BodyTooLarge
            return message

        try:
            await self._app(scope, counting, send)
        except BodyTooLarge:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"The body is over {self._limit} bytes. Send the batch in parts, or raise PRICEBOOK_MAX_BODY_BYTES."
        # The rest of the body stays unread, so the connection cannot be used again.
        response = error_response(413, "BODY_TOO_LARGE", message, {"connection": "close"})
        await response(scope, receive, send)
