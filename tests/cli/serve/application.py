"""An ASGI application that shows what the server gives it, and the server that runs it in a thread."""

import asyncio
import json
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import uvicorn

from cli.serve.graceful_server import Server
from cli.serve.http_protocol import HttpProtocol
from cli.serve.websocket_protocol import MAX_MESSAGE_BYTES, WebSocketProtocol
from graph.drain import Drain

LARGE_BYTES = 8 << 20
"""Size of the response of `/large`: more than the buffers of two sockets hold."""


class Application:
    """Responds by path, and records what it received. `requests` are the paths, `headers` those of the last
    request with a body.

    `/` receives the body and echoes its length; `/early` does not receive it; `/held` waits for `release` first;
    `/watch` responds when its client has gone; `/large` responds with `LARGE_BYTES`. A WebSocket echoes; on
    `/socket/held` it waits for `release` first; `/socket/silent` only receives; `/socket/send` sends without end;
    the handshake of `/socket/refused` is refused with 401.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.ended: dict[str, int] = defaultdict(int)
        self.received: dict[str, int] = defaultdict(int)
        self.turns = 0
        self.turns_of_messages: list[int] = []
        self.release = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        path = scope["path"]
        self.requests.append(path)
        try:
            await (self._socket if scope["type"] == "websocket" else self._respond)(scope, receive, send)
        finally:
            self.ended[path] += 1

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        self.loop = asyncio.get_running_loop()
        scope["state"]["runtime"] = SimpleNamespace(drain=Drain())
        for _ in range(2):
            message = await receive()
            await send({"type": message["type"] + ".complete"})

    async def _respond(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == "/held":
            await self.release.wait()
        length, more = 0, path != "/early"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ended["disconnect " + path] += 1
                return
            length, more = length + len(message["body"]), message["more_body"]
        if path == "/watch":  # as a streamed response does
            await receive()
            self.ended["disconnect " + path] += 1
        if length:
            self.headers = scope["headers"]
        body = bytes(LARGE_BYTES) if path == "/large" else json.dumps({"received": length}).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _socket(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        await receive()
        if path == "/socket/refused":
            await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"No."})
            return
        await send({"type": "websocket.accept"})
        if path == "/socket/held":
            await self.release.wait()
        while path == "/socket/send":
            await send({"type": "websocket.send", "bytes": bytes(1 << 20)})
        counting = asyncio.create_task(self._count_turns())
        while (message := await receive())["type"] == "websocket.receive":
            self.received[path] += 1
            self.turns_of_messages.append(self.turns)
            if path != "/socket/silent":
                await send({"type": "websocket.send", "text": message["text"]})
        counting.cancel()

    async def _count_turns(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


class RunningServer:
    """A server in a thread of its own, on an event loop of its own, as in production."""

    def __init__(self, application: Application, listener: socket.socket) -> None:
        self.application = application
        self.address = listener.getsockname()
        self.config = uvicorn.Config(
            application,
            loop="uvloop",
            http=HttpProtocol,
            ws=WebSocketProtocol,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=0,
        )
        self.server = Server(self.config, drain_seconds=0, max_connections=1000)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})

    def connect(self, data: bytes = b"") -> "Client":
        return Client(socket.create_connection(self.address, timeout=15), data)

    def release(self) -> None:
        """Let held requests go on."""
        self.application.loop.call_soon_threadsafe(self.application.release.set)


class Client:
    """A connection to the server, byte by byte."""

    def __init__(self, connection: socket.socket, data: bytes) -> None:
        self.socket = connection
        self.send(data)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> "Client":
        self.socket.sendall(data)
        return self

    def send_until_closed(self, data: bytes, limit: int) -> int:
        """Send the data again and again; return the bytes sent when the server closes the connection, or `limit`."""
        sent = 0
        try:
            while sent < limit:
                self.socket.sendall(data)
                sent += len(data)
        except OSError:
            pass
        return sent

    def read(self, size: int = 1 << 16) -> bytes:
        """Receive what has arrived; nothing if the server has closed the connection."""
        try:
            return self.socket.recv(size)
        except ConnectionResetError:
            return b""

    def read_until(self, end: bytes) -> bytes:
        """Receive until the received bytes end with `end`, or the server closes the connection."""
        received = b""
        while not received.endswith(end) and (data := self.read()):
            received += data
        return received

    def read_all(self) -> bytes:
        """Receive until the server closes the connection."""
        received = []
        while data := self.read():
            received.append(data)
        return b"".join(received)


@contextmanager
def serving() -> Iterator[RunningServer]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        running = RunningServer(Application(), listener)
        running.thread.start()
        try:
            while not running.server.started:
                assert running.thread.is_alive()
                threading.Event().wait(0.01)
            yield running
        finally:
            running.server.should_exit = True
            running.thread.join()
