"""Who is answered while still sending comes to read the answer, and no connection is kept that has unread data."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from graph.http import lingering_close
from graph.http.response import json_response
from graph.middleware.body_limit import BodyLimitMiddleware
from tests.graph.api import with_request_state


def request(method: str = "POST") -> Scope:
    return with_request_state({"type": "http", "method": method, "headers": []})


class Client:
    """A client that sends its body a piece at a time, and notes what it gets."""

    def __init__(self, *pieces: bytes, ends: bool = True) -> None:
        self._pieces = [*pieces]
        self._ends = ends
        self.got: list[Message] = []

    async def receive(self) -> Message:
        if not self._pieces:
            await asyncio.Event().wait()
        body = self._pieces.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self._pieces) or not self._ends}

    async def send(self, message: Message) -> None:
        self.got.append(message)

    @property
    def left(self) -> int:
        return len(self._pieces)

    @property
    def is_closed(self) -> bool:
        return (b"connection", b"close") in self.got[0]["headers"]


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await json_response({}, 401)(scope, receive, send)


async def read_then_refuse(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["more_body"]:
        pass
    await refuse(scope, receive, send)


async def test_the_rest_of_a_body_is_taken_in_after_the_answer_and_before_the_end() -> None:
    client = Client(b"a", b"b", b"c")
    await refuse(request(), client.receive, client.send)
    assert client.left == 0
    assert client.is_closed
    assert [message.get("more_body", False) for message in client.got[1:]] == [True, False]


async def test_a_connection_whose_body_was_read_is_kept() -> None:
    client = Client(b"a", b"b")
    await BodyLimitMiddleware(read_then_refuse, 100, 100)(request(), client.receive, client.send)
    assert not client.is_closed
    assert len(client.got) == 2


async def test_a_request_without_a_body_is_not_waited_for() -> None:
    client = Client()
    await refuse(request("GET"), client.receive, client.send)
    assert not client.is_closed


async def test_who_sends_on_and_on_is_not_listened_to_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "MAX_LINGERING_BYTES", 10)
    client = Client(*[b"abcd"] * 100)
    await refuse(request(), client.receive, client.send)
    assert client.left == 97


async def test_who_says_nothing_more_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "LINGERING_TIMEOUT_SECONDS", 0.01)
    client = Client(b"abcd", ends=False)
    await refuse(request(), client.receive, client.send)
    assert client.got[-1] == {"type": "http.response.body", "body": b""}


async def test_what_is_taken_in_after_an_answer_is_over_no_limit() -> None:
    client = Client(*[b"abcd"] * 10)
    await BodyLimitMiddleware(refuse, 10, 10)(request(), client.receive, client.send)
    assert client.left == 0
    assert client.got[0]["status"] == 401
