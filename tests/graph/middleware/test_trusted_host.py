"""A server that grants anonymous callers more than reading accepts only the names of the loopback interface."""

import pytest
from starlette.types import Message

from graph.http.response import json_response
from graph.middleware.trusted_host import TrustedHostMiddleware
from tests.graph.api import with_request_state


async def status(host: str | None) -> int:
    """The status of the response to a request for a host."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", host.encode())] if host is not None else []
    scope = with_request_state({"type": "http", "method": "POST", "headers": headers})
    await TrustedHostMiddleware(json_response({}))(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]", "[::1]:8000", "LocalHost:1"]
)
async def test_loopback_names_are_accepted(host: str) -> None:
    assert await status(host) == 200


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]:80"],
)
async def test_other_names_are_refused(host: str | None) -> None:
    assert await status(host) == 421
