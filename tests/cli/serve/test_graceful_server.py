"""A server process that is told to end."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from cli.serve.graceful_server import Server
from graph.drain import Drain
from tests.waiting import DEADLINE_SECONDS


class Starting:
    """An application that starts when it is told to."""

    def __init__(self) -> None:
        self.drain = Drain()
        self.is_starting = asyncio.Event()
        self.may_start = asyncio.Event()
        self.app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("here"))], lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[dict[str, Any]]:
        self.is_starting.set()
        await self.may_start.wait()
        yield {"runtime": SimpleNamespace(drain=self.drain)}


async def test_who_is_told_to_end_while_it_starts_drains_when_it_has() -> None:
    starting = Starting()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server = Server(uvicorn.Config(starting.app, log_config=None), drain_seconds=1)
        serving = asyncio.create_task(server._serve([listener]))
        async with asyncio.timeout(DEADLINE_SECONDS), httpx.AsyncClient(trust_env=False) as http:
            await starting.is_starting.wait()
            server.handle_exit(signal.SIGTERM, None)
            asked = asyncio.create_task(http.get(url))
            starting.may_start.set()
            assert (await asked).text == "here"
            assert starting.drain.is_draining
            await serving
