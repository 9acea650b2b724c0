"""The shutdown of a server process."""

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
from cli.serve.http_protocol import HttpProtocol
from graph.drain import Drain
from tests.waiting import DEADLINE_SECONDS


class SlowApplication:
    """An application that starts when `may_start` is set."""

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


async def test_a_sigterm_during_the_start_drains_after_the_start() -> None:
    application = SlowApplication()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        config = uvicorn.Config(application.app, http=HttpProtocol, log_config=None)
        server = Server(config, drain_seconds=1, max_connections=10)
        serving = asyncio.create_task(server._serve([listener]))
        async with asyncio.timeout(DEADLINE_SECONDS), httpx.AsyncClient(trust_env=False) as http:
            await application.is_starting.wait()
            server.handle_exit(signal.SIGTERM, None)
            request = asyncio.create_task(http.get(url))
            application.may_start.set()
            assert (await request).text == "here"
            assert application.drain.is_draining
            await serving
