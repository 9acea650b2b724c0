"""Lingering close: after an early response, receive the rest of the request body before closing the connection.

If a connection is closed while it holds unread data, the operating system resets it, and the client may lose the
response (RFC 9112, section 9.6). nginx does the same, under the same name.
"""

import asyncio
from contextlib import suppress

from starlette.types import Message, Receive, Send

from graph.request_state import RequestState

LINGERING_TIMEOUT_SECONDS = 2.0
"""Time limit for receiving the rest of a body."""

MAX_LINGERING_BYTES = 16 << 20
"""Number of bytes to receive at most; the connection of a client that sends more may be reset."""


async def send_and_linger(state: RequestState, start: Message, body: bytes, receive: Receive, send: Send) -> None:
    """Send a response, receive and discard the rest of the request body, and let the connection be closed."""
    state.is_lingering = True
    await send({**start, "headers": [*start["headers"], (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await _discard_body(receive)
    await send({"type": "http.response.body", "body": b""})


async def _discard_body(receive: Receive) -> None:
    remaining = MAX_LINGERING_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGERING_TIMEOUT_SECONDS):
            while remaining > 0:
                message = await receive()
                remaining -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
