"""A flood: attackers in a process of their own, which ends by itself. `python -m tests.stack.flood URL SECONDS FLOOD`.

Attackers are raw sockets with several source addresses, so that limits of an address and of the process are both met.
An attacker whose connection is closed connects again.
"""

import asyncio
import base64
import json
import os
import random
import socket
import sys
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from tests.stack.servers import ROOT

ADDRESSES = 20
"""Number of source addresses, from 127.0.0.2 on. Readers of a test have 127.0.0.1."""

RECONNECT_SECONDS = 0.2

FRAME_INTERVAL_SECONDS = 0.01

EXIT_TIMEOUT_SECONDS = 30.0
"""How much longer than the flood its process may run."""

_TEXT, _CONTINUATION, _PING = 1, 0, 9

_INFLATED_BYTES = 15 << 20
"""Size of a compressed message once inflated."""

_PAGES = 25
"""Number of pages that a slow reader requests: together they must be larger than the buffers of the kernel, 4 MiB."""

_MESSAGE_BYTES = 120 << 10
"""Size of a message to a server without compression."""


@dataclass(frozen=True)
class Flood:
    """The number of attackers of each kind.

    Attackers with credentials send `token`, which may read `query`. The query has a variable `$n`, the size of a page,
    which is 80 to 100.
    """

    half_open: int = 0
    silent_sockets: int = 0
    fragments: int = 0
    frames: int = 0
    header_megabytes: int = 0
    slow_bodies: int = 0
    unfinished_bodies: int = 0
    slow_readers: int = 0
    token: str = ""
    query: str = ""


async def run_flood(url: str, seconds: float, flood: Flood) -> Counter[str]:
    """Flood a server for some seconds, and return counts of what was sent and closed, by kind of attack."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, url, str(seconds), json.dumps(asdict(flood))),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds + EXIT_TIMEOUT_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return Counter(json.loads(output))


class Attackers:
    """The attacks on the server at `url`."""

    def __init__(self, url: str, flood: Flood) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._flood = flood
        self._sources = count()
        self._bomb = _compressed(bytes(_INFLATED_BYTES))
        self.counts: Counter[str] = Counter()

    async def attack(self, seconds: float) -> None:
        """Run all attackers for some seconds."""
        flood = self._flood
        attacks: dict[str, tuple[Callable[[], Awaitable[None]], int]] = {
            "half_open": (self._half_open, flood.half_open),
            "silent_sockets": (self._silent_socket, flood.silent_sockets),
            "fragments": (self._fragments, flood.fragments),
            "frames": (self._frames, flood.frames),
            "header_megabytes": (self._header_megabyte, flood.header_megabytes),
            "slow_bodies": (self._slow_body, flood.slow_bodies),
            "unfinished_bodies": (self._unfinished_body, flood.unfinished_bodies),
            "slow_readers": (self._slow_reader, flood.slow_readers),
        }
        tasks = [
            asyncio.create_task(self._repeat(kind, attack))
            for kind, (attack, number) in attacks.items()
            for _ in range(number)
        ]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def _repeat(self, kind: str, attack: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(random.random() / 2)
        while True:
            self.counts[f"{kind} begun"] += 1
            try:
                await attack()
            except (OSError, EOFError):
                self.counts[f"{kind} refused"] += 1
            else:
                self.counts[f"{kind} closed"] += 1
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _half_open(self) -> None:
        """Begin a request, and send no more of it."""
        async with self._connection() as (reader, writer):
            writer.write(b"POST /gra")
            await reader.read()

    async def _silent_socket(self) -> None:
        async with self._websocket() as (reader, _, _):
            await reader.read()

    async def _fragments(self) -> None:
        """Send a message in fragments, and never the last one."""
        async with self._websocket() as (reader, writer, is_compressed):
            payload = self._bomb if is_compressed else b" " * _MESSAGE_BYTES
            middle = len(payload) // 2
            writer.write(_frame(_TEXT, payload[:middle], is_last=False, is_compressed=is_compressed))
            writer.write(_frame(_CONTINUATION, payload[middle:], is_last=False))
            await writer.drain()
            await reader.read()

    async def _frames(self) -> None:
        """Send whole messages and pings, and read no response."""
        async with self._websocket() as (reader, writer, is_compressed):
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            message = _frame(_TEXT, self._bomb, is_compressed=True) if is_compressed else b""
            messages = message + (_frame(_TEXT, b'{"type":"ping"}') + _frame(_PING, b"x" * 100)) * 50
            while not writer.is_closing():
                writer.write(messages)
                await writer.drain()
                self.counts["frames sent"] += 100
                await asyncio.sleep(FRAME_INTERVAL_SECONDS)

    async def _header_megabyte(self) -> None:
        """Send a megabyte of headers of 5 bytes, and never the end of the head."""
        async with self._connection() as (reader, writer):
            writer.write(b"GET /graphql HTTP/1.1\r\nhost: p\r\n")
            for _ in range(16):
                writer.write(b"a:b\r\n" * ((64 << 10) // 5))
                await writer.drain()
                self.counts["kilobytes of headers"] += 64
            await reader.read()

    async def _slow_body(self) -> None:
        """Announce a body without credentials, and send a byte of it each second."""
        await self._dribble(b"", announced=1_000_000, sent=0)

    async def _unfinished_body(self) -> None:
        """Send a large body with credentials, but for its end, of which a byte is sent each second."""
        await self._dribble(self._authorization, announced=60 << 20, sent=59 << 20)

    async def _dribble(self, header: bytes, announced: int, sent: int) -> None:
        async with self._connection() as (reader, writer):
            writer.write(_post(header, announced))
            closed = asyncio.create_task(reader.read())
            for _ in range(sent >> 16):
                writer.write(b" " * (1 << 16))
                await writer.drain()
            while not closed.done():
                writer.write(b" ")
                await writer.drain()
                await asyncio.wait([closed], timeout=1)

    async def _slow_reader(self) -> None:
        """Request large pages over one connection, and read none of them."""
        async with self._connection(receive_buffer=4096) as (reader, writer):
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            for _ in range(_PAGES):
                variables = {"n": random.randint(80, 100)}
                body = json.dumps({"query": self._flood.query, "variables": variables}).encode()
                writer.write(_post(self._authorization, len(body)) + body)
            while not writer.is_closing():
                await asyncio.sleep(1)
                writer.write(b"\r\n")  # fails once the server has closed the connection
                await writer.drain()

    @property
    def _authorization(self) -> bytes:
        return f"authorization: Bearer {self._flood.token}\r\n".encode()

    @asynccontextmanager
    async def _connection(
        self, receive_buffer: int | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        client = socket.socket()
        client.setblocking(False)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.bind((f"127.0.0.{2 + next(self._sources) % ADDRESSES}", 0))
        try:
            await asyncio.get_running_loop().sock_connect(client, (self._host, self._port))
        except BaseException:
            client.close()
            raise
        reader, writer = await asyncio.open_connection(sock=client)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def _websocket(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, bool]]:
        """Open a WebSocket without credentials; yield its streams, and whether messages may be compressed."""
        async with self._connection() as (reader, writer):
            lines = [
                "GET /graphql HTTP/1.1",
                f"host: {self._host}:{self._port}",
                "connection: upgrade",
                "upgrade: websocket",
                f"sec-websocket-key: {base64.b64encode(os.urandom(16)).decode()}",
                "sec-websocket-version: 13",
                "sec-websocket-protocol: graphql-transport-ws",
                "sec-websocket-extensions: permessage-deflate",
            ]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101"):
                raise ConnectionRefusedError(head[:100])
            self.counts["sockets opened"] += 1
            yield reader, writer, b"permessage-deflate" in head.lower()


def _post(header: bytes, length: int) -> bytes:
    head = b"POST /graphql HTTP/1.1\r\nhost: p\r\ncontent-type: application/json\r\n"
    return head + header + f"content-length: {length}\r\n\r\n".encode()


def _frame(opcode: int, payload: bytes, *, is_last: bool = True, is_compressed: bool = False) -> bytes:
    """Return a frame of a client: masked, with a mask of zeros, which leaves the payload as it is."""
    first = opcode | (0x80 if is_last else 0) | (0x40 if is_compressed else 0)
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return bytes([first]) + length + bytes(4) + payload


def _compressed(message: bytes) -> bytes:
    compressor = zlib.compressobj(9, wbits=-15)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def main(url: str, seconds: str, flood: str) -> None:
    fields: dict[str, Any] = json.loads(flood)
    attackers = Attackers(url, Flood(**fields))
    asyncio.run(attackers.attack(float(seconds)))
    sys.stdout.write(json.dumps(attackers.counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
