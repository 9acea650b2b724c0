"""Lingering close: a client that is still sending can read an early response, and its connection is closed."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from graph.http import lingering_close
from graph.http.response import json_response
from graph.limits.bodies import BodyLimits
from graph.middleware.body_limit import BodyLimitMiddleware
from tests.graph.api import with_request_state


def request(method: str = "POST") -> Scope:
    return with_request_state({"type": "http", "method": method, "headers": []})


class Client:
    """A client that sends its body in several messages, and records the response."""

    def __init__(self, *chunks: bytes, ends: bool = True) -> None:
        self._chunks = [*chunks]
        self._ends = ends
        self.received: list[Message] = []

    async def receive(self) -> Message:
        if not self._chunks:
            await asyncio.Event().wait()
        body = self._chunks.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self._chunks) or not self._ends}

    async def send(self, message: Message) -> None:
        self.received.append(message)

    @property
    def unsent(self) -> int:
        return len(self._chunks)

    @property
    def is_closed(self) -> bool:
        return (b"connection", b"close") in self.received[0]["headers"]


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await json_response({}, 401)(scope, receive, send)


async def read_then_refuse(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["more_body"]:
        pass
    await refuse(scope, receive, send)


async def test_the_rest_of_a_body_is_discarded_between_the_response_and_its_end() -> None:
    client = Client(b"a", b"b", b"c")
    await refuse(request(), client.receive, client.send)
    assert client.unsent == 0
    assert client.is_closed
    assert [message.get("more_body", False) for message in client.received[1:]] == [True, False]


async def test_a_connection_whose_body_was_read_stays_open() -> None:
    client = Client(b"a", b"b")
    await BodyLimitMiddleware(read_then_refuse, BodyLimits(body=100))(request(), client.receive, client.send)
    assert not client.is_closed
    assert len(client.received) == 2


async def test_a_request_without_a_body_does_not_linger() -> None:
    client = Client()
    await refuse(request("GET"), client.receive, client.send)
    assert not client.is_closed


async def test_lingering_stops_at_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "MAX_LINGERING_BYTES", 10)
    client = Client(*[b"abcd"] * 100)
    await refuse(request(), client.receive, client.send)
    assert client.unsent == 97


async def test_lingering_stops_at_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "LINGERING_TIMEOUT_SECONDS", 0.01)
    client = Client(b"abcd", ends=False)
    await refuse(request(), client.receive, client.send)
    assert client.received[-1] == {"type": "http.response.body", "body": b""}


async def test_the_body_limit_does_not_apply_while_lingering() -> None:
    client = Client(*[b"abcd"] * 10)
    await BodyLimitMiddleware(refuse, BodyLimits(body=10))(request(), client.receive, client.send)
    assert client.unsent == 0
    assert client.received[0]["status"] == 401
