"""WebSocket connections to an application in this process, without a network."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from graph.http.websocket_messages import PROTOCOL


class Closed(Exception):
    """The server has closed the connection."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code} {reason}")
        self.code = code
        self.reason = reason


class Socket:
    """A client of a connection."""

    def __init__(self) -> None:
        self.to_server: asyncio.Queue[Message] = asyncio.Queue()
        self.to_client: asyncio.Queue[Message] = asyncio.Queue()

    def send(self, **message: Any) -> None:
        """Send a message of the protocol."""
        self.send_text(json.dumps(message))

    def send_text(self, text: str) -> None:
        """Send a text, which need not be a message of the protocol."""
        self.to_server.put_nowait({"type": "websocket.receive", "text": text})

    async def receive(self) -> dict[str, Any]:
        """Return the next message of the server. Raises `Closed`."""
        while "text" not in (message := await self.to_client.get()):
            if message["type"] == "websocket.close":
                assert len(message["reason"].encode()) <= 123, "a close frame has no room for more"
                raise Closed(message["code"], message["reason"])
            if message["type"] == "websocket.http.response.start":
                raise Closed(message["status"])
        received: dict[str, Any] = json.loads(message["text"])
        return received

    async def closed(self) -> int:
        """Receive until the server closes the connection, and return the code of the close frame."""
        while True:
            try:
                await self.receive()
            except Closed as closed:
                return closed.code

    async def init(self, key: str | None = None) -> None:
        """Initialize the connection, with an API key or token."""
        self.send(type="connection_init", payload={"Authorization": f"Bearer {key}"} if key else None)
        assert (await self.receive())["type"] == "connection_ack"

    async def execute(self, payload: Any, id_: str = "1") -> list[dict[str, Any]]:
        """Start an operation and return its messages up to the last."""
        self.send(id=id_, type="subscribe", payload=payload)
        messages = [await self.receive()]
        while messages[-1]["type"] == "next":
            messages.append(await self.receive())
        return messages


@asynccontextmanager
async def connection(app: ASGIApp, subprotocols: Sequence[str] = (PROTOCOL,), **headers: str) -> AsyncIterator[Socket]:
    """Yield a connection to an application, and disconnect it at the end."""
    socket = Socket()
    scope: Scope = {
        "type": "websocket",
        "path": "/graphql",
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()],
        "subprotocols": [*subprotocols],
        "extensions": {"websocket.http.response": {}},
    }
    serving = asyncio.ensure_future(app(scope, socket.to_server.get, socket.to_client.put))
    socket.to_server.put_nowait({"type": "websocket.connect"})
    try:
        yield socket
    finally:
        socket.to_server.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await serving
