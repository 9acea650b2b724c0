"""A connection whose request body nobody read is closed, but only when its client could read the answer.

Where a connection is closed with data that was not read, the system resets it, and the client may lose the answer. So
what little is left is taken in first, after the answer (RFC 9112, section 9.6).
"""

import asyncio
from contextlib import suppress

from starlette.types import Message, Receive, Scope, Send

LINGER_SECONDS = 2.0
LINGER_BYTES = 16 << 20
"""No more than this is taken in; who sends on after it may find the connection reset."""

_READ = "pricebook.body_read"
_LINGERING = "pricebook.lingering"


def note_read(scope: Scope) -> None:
    """Note that the body of a request has come as a whole."""
    scope[_READ] = True


def is_unread(scope: Scope) -> bool:
    """Whether some of the body of a request may still have to come."""
    return scope["method"] == "POST" and _READ not in scope


def is_lingering(scope: Scope) -> bool:
    """Whether a request has its answer, and is only taken in."""
    return _LINGERING in scope


async def send_and_linger(scope: Scope, start: Message, body: bytes, receive: Receive, send: Send) -> None:
    """Send an answer, take in what is left of the request, and have the connection closed."""
    scope[_LINGERING] = True
    await send({**start, "headers": [*start["headers"], (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await _take_in(receive)
    await send({"type": "http.response.body", "body": b""})


async def _take_in(receive: Receive) -> None:
    left = LINGER_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
