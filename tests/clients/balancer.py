"""A load balancer for one server at a time."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.stack.servers import Server


class Balancer:
    """Forwards connections to `server`. A connection waits until `is_open` is set."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.url = ""

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        await self.is_open.wait()
        to_server = await asyncio.open_connection("127.0.0.1", self.server.port)
        await asyncio.gather(_copy(reader, to_server[1]), _copy(to_server[0], writer))


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def balancing(server: Server) -> AsyncIterator[Balancer]:
    """Run a load balancer in front of a server."""
    balancer = Balancer(server)
    listener = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
    async with listener:
        balancer.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield balancer
