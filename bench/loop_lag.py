"""The application with a meter: `/longest-block` returns how long its event loop was blocked at most."""

import asyncio
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.app import app_from_environment

TICK_SECONDS = 0.001


class LoopBlockMiddleware:
    """Runs a ticker in the event loop, and measures the CPU time of its thread from tick to tick.

    CPU time counts the work of the loop itself, but not the time that it waits for a core.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._app = application
        self._longest = 0.0
        self._ticker: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._tick())
        if scope.get("path") == "/longest-block":
            longest, self._longest = self._longest, 0.0
            await JSONResponse({"seconds": longest})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _tick(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(TICK_SECONDS)
            self._longest = max(self._longest, time.thread_time() - before)


def app() -> ASGIApp:
    return LoopBlockMiddleware(app_from_environment())
