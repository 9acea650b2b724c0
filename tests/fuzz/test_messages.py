"""Arbitrary messages over a WebSocket: the server handles each, or closes the socket with a code that has a reason."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from tests.fuzz.conftest import REQUESTS, Target
from tests.fuzz.test_documents import FUZZ, json_values
from tests.stack.transports import DROPPED, TIMEOUT_SECONDS, begin, close_code, websocket

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

CODES = {1003, 1007, 1009, 4400, 4401, 4403, 4408, 4409, 4429, DROPPED}
"""Invalid data in general, and the codes of graphql-transport-ws.

A client that still sends when the server has closed the socket may not receive the code.
"""

types = st.sampled_from(["connection_init", "ping", "pong", "subscribe", "complete", "next", "", "x"]) | json_values
payloads = st.sampled_from([{}, {"query": "{ __typename }"}, {"query": 5}, {"Authorization": 5}]) | json_values
ids = st.sampled_from(["1", "", "x" * 1000]) | json_values
objects = st.fixed_dictionaries({}, optional={"type": types, "id": ids, "payload": payloads})
texts = (objects | json_values).map(json.dumps) | st.text(max_size=50)
messages = st.lists(texts | st.binary(max_size=50) | st.just("[" * 50_000), min_size=1, max_size=4)


@given(messages=messages, is_authenticated=st.booleans(), has_valid_utf_8=st.integers(0, 9).map(bool))
@settings(FUZZ, max_examples=max(REQUESTS // 5, 30))
def test_arbitrary_messages(
    target: Target, messages: list[str | bytes], is_authenticated: bool, has_valid_utf_8: bool
) -> None:
    with websocket(target.server.url) as socket:
        if is_authenticated:
            begin(socket, target.token)
        try:
            for message in messages:
                target.transports.requests["messages"] += 1
                socket.send(message, text=None if has_valid_utf_8 else True)
            socket.send(json.dumps({"type": "ping"}))
            answer: dict[str, Any] = {}
            while answer.get("type") != "pong":
                answer = json.loads(socket.recv(TIMEOUT_SECONDS))
                assert "INTERNAL" not in json.dumps(answer)
        except ConnectionClosed:
            assert close_code(socket) in CODES, messages
