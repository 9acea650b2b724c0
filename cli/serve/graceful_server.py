"""A server that shuts down without a failed request: it drains, then ends.

On SIGTERM it takes these steps:

1. `/readyz` responds 503 and every response closes its connection, so that load balancers move their traffic away.
2. After the drain time it blocks new connections, accepts those in the queue, and ends subscriptions.
3. Connections that were accepted last have a moment to send a request.
4. Requests in progress are finished, and leases are released.

SIGINT, and a second SIGTERM, skip the drain time. A worker that hands over to other workers on the same socket stops
accepting connections at once.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from cli.serve.connections import SWEEP_INTERVAL_SECONDS, ConnectionState
from cli.serve.socket_drain import block_connections, queue_length, unblock_connections
from graph.drain import Drain

FINISH_TIMEOUT_SECONDS = 20
"""Longest wait for requests in progress."""

ACCEPT_TIMEOUT_SECONDS = 2.0
"""Longest time to accept the connections in the queue of the socket."""

LAST_REQUEST_GRACE_SECONDS = 0.5
"""Time for the last connections to send a request."""

_POLL_INTERVAL_SECONDS = 0.01

_TICKS_PER_SECOND = 10
"""uvicorn calls `on_tick` at this rate."""

_CLOSE = (b"connection", b"close")


class Server(uvicorn.Server):
    """A process that serves, alone or as one of several workers."""

    server_state: ConnectionState

    def __init__(
        self,
        config: uvicorn.Config,
        drain_seconds: int,
        max_connections: int,
        on_started: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self.server_state = ConnectionState(max_connections)
        self._drain_seconds = drain_seconds
        self._on_started = on_started
        self._is_terminating = False
        self._drained_at: float | None = None
        self._has_handed_over = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        for each in sockets or ():
            unblock_connections(each)
        await super().startup(sockets)
        self._on_started()
        if self._is_terminating and self.started:
            self._start_draining()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start to shut down on a signal; if the server is still starting, as soon as it has started."""
        super().handle_exit(sig, frame)
        if sig == signal.SIGTERM and not self._is_terminating and self._drained_at is None:
            self._is_terminating = True
            self.should_exit = False
            if self.started:
                self._start_draining()

    def hand_over(self) -> None:
        """Start to shut down, and leave new connections to other workers."""
        self._has_handed_over = True
        if self._drained_at is None:
            self._start_draining()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to shut down now."""
        if self._has_handed_over:
            self._stop_listening()
        if counter % round(SWEEP_INTERVAL_SECONDS * _TICKS_PER_SECOND) == 0:
            self.server_state.sweep()
        is_drained = self._drained_at is not None and time.monotonic() >= self._drained_at
        return await super().on_tick(counter) or is_drained

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish requests in progress and end subscriptions."""
        if self._drained_at is None:
            self._start_draining()
        elif not self._has_handed_over:
            for each in sockets or ():
                await _accept_queued(each)
        self._stop_listening(sockets or ())
        self._drain.end_subscriptions()
        await asyncio.sleep(LAST_REQUEST_GRACE_SECONDS)
        await super().shutdown(sockets)

    def _stop_listening(self, sockets: Sequence[socket.socket] = ()) -> None:
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()

    def _start_draining(self) -> None:
        self._drained_at = time.monotonic() + self._drain_seconds
        self._drain.begin()
        self.config.encoded_headers.append(_CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    @property
    def _drain(self) -> Drain:
        drain: Drain = self.lifespan.state["runtime"].drain
        return drain


async def _accept_queued(listener: socket.socket) -> None:
    block_connections(listener)
    for _ in range(int(ACCEPT_TIMEOUT_SECONDS / _POLL_INTERVAL_SECONDS)):
        if not queue_length(listener):
            return
        await asyncio.sleep(_POLL_INTERVAL_SECONDS)
