"""Request bodies, which ASGI delivers in one or more messages."""

from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive


async def read_body(receive: Receive) -> bytes:
    """Return the whole body of a request. Raises `ClientDisconnect`."""
    messages = [await receive()]
    while messages[-1].get("more_body", False):
        messages.append(await receive())
    if messages[-1]["type"] != "http.request":
        raise ClientDisconnect
    return join_body(messages)


def join_body(messages: Sequence[Message]) -> bytes:
    """Return the bytes of `http.request` messages. Most bodies are a single message, which is not copied."""
    if len(messages) == 1:
        body: bytes = messages[0].get("body", b"")
        return body
    return b"".join([message.get("body", b"") for message in messages])
