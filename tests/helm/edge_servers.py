"""Servers behind an edge in tests: stubs that answer requests, or that take the connection over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from tests.stack.edge import Edge, edge, free_port

Headers = dict[str, str]
Respond = Callable[["Stub", Headers], Awaitable[bytes | None]]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def http_response(body: str, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body]).encode()


class Stub:
    """A server that records requests and sends the response of `respond`; for `None` it closes the connection."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.requests: list[Headers] = []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Stub":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
                headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
                headers["request"] = start
                await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append(headers)
                response = await self.respond(self, headers)
                if response is None:
                    break
                writer.write(response)
        writer.close()


@asynccontextmanager
async def edge_for(
    folder: Path,
    *responders: Respond,
    settings: Mapping[str, object] | None = None,
    balancers: Sequence[str] = (),
    **values: object,
) -> AsyncIterator[tuple[Edge, list[Stub]]]:
    """Run an edge in front of one server for each responder."""
    async with contextlib.AsyncExitStack() as stack:
        stubs = [await stack.enter_async_context(Stub(respond)) for respond in responders]
        started = edge(folder, [stub.url for stub in stubs], settings, balancers, **{"ratePerSecond": 0, **values})
        yield await asyncio.to_thread(stack.enter_context, started), stubs


@asynccontextmanager
async def edge_to(folder: Path, serve: Serve, **values: object) -> AsyncIterator[Edge]:
    """Run an edge in front of a server that `serve` implements."""
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    port = free_port()
    async with asyncio.timeout(20), await asyncio.start_server(handle, "127.0.0.1", port):
        started = edge(folder, [f"http://127.0.0.1:{port}"], {"maxBodyBytes": "16MiB"}, (), **values)
        balancer = await asyncio.to_thread(started.__enter__)
        try:
            yield balancer
        finally:
            await asyncio.to_thread(started.__exit__, None, None, None)
            await asyncio.gather(*handlers)


@asynccontextmanager
async def sending(balancer: Edge, request: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Send the bytes of a request to an edge, and yield the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(balancer.url.rpartition(":")[2]))
    try:
        writer.write(request)
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
