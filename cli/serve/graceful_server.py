"""A server that goes away without a failed request: it drains, then ends.

On SIGTERM, in this order: `/readyz` answers 503 and every answer closes its connection, so that balancers turn
elsewhere; after the drain time nobody new is let in, and subscriptions are completed; who just came has a moment to
ask; what is in flight is answered; leases are given back. SIGINT, and a second SIGTERM, leave out the drain time.

A worker that hands over to others, which listen on the same socket, takes no new connections from the beginning.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from cli.serve.socket_drain import let_in, let_nobody_in, waiting
from graph.drain import Drain

FINISH_SECONDS = 20
"""How long requests in flight are waited for."""

ACCEPT_SECONDS = 2.0
"""How long accepting who is in the queue of the socket may take."""

LAST_REQUEST_GRACE_SECONDS = 0.5
"""How long who was let in last may take to send a request, and a subscription to be completed."""

_LOOK_SECONDS = 0.01

_CLOSE = (b"connection", b"close")


class Server(uvicorn.Server):
    """A process that serves, alone or as one of several workers."""

    def __init__(
        self, config: uvicorn.Config, drain_seconds: int, on_started: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._on_started = on_started
        self._is_told_to_end = False
        self._drained_at: float | None = None
        self._is_handed_over = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        for each in sockets or ():
            let_in(each)
        await super().startup(sockets)
        self._on_started()
        if self._is_told_to_end and self.started:
            self._begin()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, by a signal; one that comes while the server starts is heeded when it has."""
        super().handle_exit(sig, frame)
        if sig == signal.SIGTERM and not self._is_told_to_end and self._drained_at is None:
            self._is_told_to_end = True
            self.should_exit = False
            if self.started:
                self._begin()

    def hand_over(self) -> None:
        """Begin to end, and leave new connections to others."""
        self._is_handed_over = True
        if self._drained_at is None:
            self._begin()

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to end now."""
        if self._is_handed_over:
            self._listen_no_longer()
        is_drained = self._drained_at is not None and time.monotonic() >= self._drained_at
        return await super().on_tick(counter) or is_drained

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: answer what is in flight, and complete what has no end of its own."""
        if self._drained_at is None:
            self._begin()
        elif not self._is_handed_over:
            for each in sockets or ():
                await _accept_the_last(each)
        self._listen_no_longer(sockets or ())
        self._drain.end_subscriptions()
        await asyncio.sleep(LAST_REQUEST_GRACE_SECONDS)
        await super().shutdown(sockets)

    def _listen_no_longer(self, sockets: Sequence[socket.socket] = ()) -> None:
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()

    def _begin(self) -> None:
        self._drained_at = time.monotonic() + self._drain_seconds
        self._drain.begin()
        self.config.encoded_headers.append(_CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    @property
    def _drain(self) -> Drain:
        drain: Drain = self.lifespan.state["runtime"].drain
        return drain


async def _accept_the_last(listener: socket.socket) -> None:
    let_nobody_in(listener)
    for _ in range(int(ACCEPT_SECONDS / _LOOK_SECONDS)):
        if not waiting(listener):
            return
        await asyncio.sleep(_LOOK_SECONDS)
