"""Clients of each transport: JSON, server-sent events, and WebSockets, which can be sent anything."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

TIMEOUT_SECONDS = 30.0
CLOSE_TIMEOUT_SECONDS = 10.0

DROPPED = 1006
"""The code of a connection that ended without a close frame (RFC 6455)."""

CONTENT_TYPE = {"content-type": "application/json"}

SUBPROTOCOL = Subprotocol("graphql-transport-ws")


@dataclass(frozen=True)
class Answer:
    """The data and the codes of the errors of a response; `closed` is the code with which a socket was closed instead.

    The order of errors is not specified, so the codes are sorted.
    """

    data: Any = None
    codes: tuple[str, ...] = ()
    closed: int | None = None

    @classmethod
    def of(cls, result: Any) -> Self:
        """Return the answer in the JSON of a response."""
        return cls(result.get("data"), _codes(result.get("errors", [])))


def _codes(errors: Any) -> tuple[str, ...]:
    return tuple(sorted(error.get("extensions", {}).get("code", "NO CODE") for error in errors))


class Transports:
    """A client of each transport, with the same credentials. `requests` counts what was sent, by transport.

    A request is any JSON value. `ask_by_...` return the response, of a subscription its first event.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url, self._token = url, token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)
        self._websocket: ClientConnection | None = None
        self._opened = ExitStack()
        self._ids = map(str, count())
        self.requests: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        self._opened.close()

    def ask_by_json(self, request: Any) -> Answer:
        self.requests["json"] += 1
        return _answer(self.http.post("/graphql", content=json.dumps(request), headers=CONTENT_TYPE))

    def ask_with_body(self, body: bytes, accept: str) -> Answer:
        """Send a body that may be no JSON, and return the answer, which is an error response in JSON."""
        self.requests[accept] += 1
        headers = {**CONTENT_TYPE, "accept": accept}
        return _answer(self.http.post("/graphql", content=body, headers=headers))

    def ask_by_events(self, request: Any, *, is_subscription: bool = False) -> Answer:
        self.requests["events"] += 1
        headers = {**CONTENT_TYPE, "accept": "text/event-stream"}
        with self.http.stream("POST", "/graphql", content=json.dumps(request), headers=headers) as response:
            if not response.headers["content-type"].startswith("text/event-stream"):
                response.read()
                return _answer(response)
            assert response.status_code == 200, response
            events = _events(response)
            kind, data = next(events, ("end", ""))
            assert kind == "next", (kind, data)
            if not is_subscription:
                rest = [kind for kind, _ in events]
                assert rest == ["complete"], rest
        return Answer.of(json.loads(data))

    def ask_by_websocket(self, request: Any, *, is_subscription: bool = False) -> Answer:
        self.requests["websocket"] += 1
        socket = self._websocket or self._connected()
        operation = next(self._ids)
        try:
            socket.send(json.dumps({"id": operation, "type": "subscribe", "payload": request}))
            kind, payload = _message(socket, operation)
            if kind == "error":
                return Answer(codes=_codes(payload))
            assert kind == "next", (kind, payload)
            if is_subscription:
                socket.send(json.dumps({"id": operation, "type": "complete"}))
            else:
                kind, _ = _message(socket, operation)
                assert kind == "complete", kind
            return Answer.of(payload)
        except ConnectionClosed as error:
            self._websocket = None
            return Answer(closed=error.rcvd.code if error.rcvd else DROPPED)

    def _connected(self) -> ClientConnection:
        self._opened.close()
        self._websocket = self._opened.enter_context(websocket(self._url))
        begin(self._websocket, self._token)
        return self._websocket


@contextmanager
def websocket(url: str) -> Iterator[ClientConnection]:
    """Open a WebSocket to the server at `url`, without credentials."""
    endpoint = f"{url}/graphql".replace("http", "ws", 1)
    # Without pings: they draw random numbers in a thread, which hypothesis takes for those of a strategy.
    with connect(endpoint, subprotocols=[SUBPROTOCOL], max_size=None, proxy=None, ping_interval=None) as socket:
        yield socket


def begin(socket: ClientConnection, token: str | None) -> None:
    """Send the credentials, and wait until they are accepted."""
    payload = {"Authorization": f"Bearer {token}"} if token else {}
    socket.send(json.dumps({"type": "connection_init", "payload": payload}))
    assert json.loads(socket.recv(TIMEOUT_SECONDS))["type"] == "connection_ack"


def close_code(socket: ClientConnection) -> int | None:
    """Return the code with which the server closes a socket; None if it does not. Skip what it sends before."""
    deadline = time.monotonic() + CLOSE_TIMEOUT_SECONDS
    try:
        while True:
            socket.recv(deadline - time.monotonic())
    except TimeoutError:
        return None
    except ConnectionClosed as error:
        return error.rcvd.code if error.rcvd else DROPPED


def _answer(response: httpx.Response) -> Answer:
    assert response.status_code < 500, response.text
    return Answer.of(response.json())


def _events(response: httpx.Response) -> Iterator[tuple[str, str]]:
    """Yield the kind and the data of each event. Comments, which keep the connection alive, are skipped."""
    received = ""
    for text in response.iter_text():
        received = (received + text).replace("\r\n", "\n")
        *blocks, received = received.split("\n\n")
        for block in blocks:
            fields: dict[str, str] = {}
            for line in block.split("\n"):
                name, _, value = line.partition(":")
                fields[name] = value.strip()
            if "event" in fields:
                yield fields["event"], fields.get("data", "")
    assert not received.strip(), f"The stream ends within an event: {received[:100]!r}"


def _message(socket: ClientConnection, operation: str) -> tuple[str, Any]:
    """Return the type and the payload of the next message of an operation."""
    while True:
        message = json.loads(socket.recv(TIMEOUT_SECONDS))
        if message["type"] == "ping":
            socket.send('{"type": "pong"}')
        elif message.get("id") == operation:
            return message["type"], message.get("payload")
