"""Responses that refuse the handshake of a WebSocket."""

from typing import Any

from starlette.types import Message, Scope

from graph.http.errors import BadRequest
from graph.http.response import error_response
from tests.graph.api import with_request_state


async def refuse(**scope: Any) -> list[Message]:
    """The messages that refuse the handshake of a WebSocket."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    handshake: Scope = {"type": "websocket", "headers": [(b"x-request-id", b"r-1")], **scope}
    await error_response(BadRequest("No."))(with_request_state(handshake), receive, send)
    return sent


async def test_a_refused_handshake_has_the_error_as_its_response() -> None:
    start, body = await refuse(extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 400)
    assert (b"x-request-id", b"r-1") in start["headers"]
    assert b"BAD_REQUEST" in body["body"]


async def test_a_server_without_handshake_responses_gets_the_code_as_close_reason() -> None:
    assert await refuse() == [{"type": "websocket.close", "code": 1008, "reason": "BAD_REQUEST"}]
