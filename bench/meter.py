"""The application with a meter.

`/longest-block` returns how long its event loop was blocked, and `/commands` how many commands it sent to MongoDB.
"""

import asyncio
import time
from collections import Counter

from pymongo import monitoring
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.app import app_from_environment

TICK_SECONDS = 0.001


class CommandCounter(monitoring.CommandListener):
    """Counts the commands of all clients of the process, by collection, or by name if they have none."""

    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        target = event.command.get("collection" if event.command_name == "getMore" else event.command_name)
        self.commands[target if isinstance(target, str) else event.command_name] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class MeterMiddleware:
    """From the first request of `/longest-block` on, a ticker measures the CPU time of the event loop between ticks.

    CPU time counts the work of the loop itself, but not the time that it waits for a core.
    """

    def __init__(self, application: ASGIApp, counter: CommandCounter) -> None:
        self._app = application
        self._counter = counter
        self._longest = 0.0
        self._ticker: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/longest-block":
            if self._ticker is None:
                self._ticker = asyncio.create_task(self._tick())
            longest, self._longest = self._longest, 0.0
            await JSONResponse({"seconds": longest})(scope, receive, send)
        elif scope.get("path") == "/commands":
            await JSONResponse(self._counter.commands)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _tick(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(TICK_SECONDS)
            self._longest = max(self._longest, time.thread_time() - before)


def app() -> ASGIApp:
    counter = CommandCounter()
    monitoring.register(counter)  # applies to clients that are created later
    return MeterMiddleware(app_from_environment(), counter)
