"""A connection whose request body nobody read is closed, but only when its client could read the answer.

Where a connection is closed with data that was not read, the system resets it, and the client may lose the answer. So
what little is left is taken in first, after the answer (RFC 9112, section 9.6).
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_SECONDS = 2.0
LINGER_BYTES = 16 << 20
"""No more than this is taken in; who sends on after it may find the connection reset."""


BODY_READ = "pricebook.body_read"
"""In the scope of a request whose body has come as a whole already."""


class Lingering:
    """Middleware that ends a connection after an answer that was given before the body had been read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a request."""
        has_body = scope["type"] == "http" and scope["method"] == "POST" and not scope.get(BODY_READ)
        return (self._linger if has_body else self._app)(scope, receive, send)

    async def _linger(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = False

        async def receive_noting() -> Message:
            nonlocal read
            message = await receive()
            read = not message.get("more_body", False)
            return message

        async def send_lingering(message: Message) -> None:
            if read:
                await send(message)
            elif message["type"] == "http.response.start":
                await send({**message, "headers": [*message["headers"], (b"connection", b"close")]})
            elif message.get("more_body", False):
                await send(message)
            else:
                await send({**message, "more_body": True})
                await _take_in(receive)
                await send({"type": "http.response.body", "body": b""})

        await self._app(scope, receive_noting, send_lingering)


async def _take_in(receive: Receive) -> None:
    left = LINGER_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
