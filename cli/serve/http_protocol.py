"""HTTP/1.1 with limits on what a client sends, and how slowly.

Extends uvicorn's protocol: heads, trailers, pipelined requests and slow clients are limited. Data is given to the
parser in slices, so that a limit is exceeded by one slice at most. The methods that are called for each request call
those of uvicorn by the name of the class, which is faster than `super()`.
"""

import logging
from asyncio import AbstractEventLoop, Transport
from typing import Any, Literal

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from cli.serve.connections import ConnectionState
from cli.serve.refusals import BAD_REQUEST, HEAD_TOO_LARGE, REQUEST_TIMEOUT, RESPONSES, TOO_MANY_CONNECTIONS, code_of
from cli.serve.stall_detector import StallDetector

MAX_HEAD_BYTES = 32 << 10
"""Size of a request line and its headers; also of the chunk extensions or trailers between two bytes of a body."""

MAX_HEADERS = 100
"""Number of headers of a request."""

MAX_PIPELINED_REQUESTS = 16
"""Requests that may wait for the responses to earlier ones of their connection; later ones are not answered."""

SLICE_BYTES = 16 << 10
"""Bytes that are parsed at once."""

HEAD_TIMEOUT_SECONDS = 10.0
"""Time for the head of a request, from its first byte; for the first of a connection, to its first byte as well."""

BODY_TIMEOUT_SECONDS = 20.0
"""How long a body may lag behind the minimum rate. Time in which the server itself stops reading does not count."""

MIN_BODY_RATE = 16 << 10
"""Minimum rate of a body, in bytes per second."""

HEALTH_CHECKS = frozenset({b"/healthz", b"/readyz"})
"""Paths that are served over the limit of connections."""

log = logging.getLogger("pricebook.cli")


class _Refused(Exception):
    """Stops the parser; the response is that of `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class HttpProtocol(HttpToolsProtocol):
    """A connection.

    `_phase` is `head` until the head of a request is complete, `body` until its body is, then `done`.
    """

    server_state: ConnectionState

    def __init__(
        self,
        config: Config,
        server_state: ConnectionState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.headers = []
        self._phase: Literal["head", "body", "done"] = "head"
        self._seconds = 0.0
        self._head_bytes = 0
        self._body_bytes = 0
        self._framing_bytes = 0
        self._running: RequestResponseCycle | None = None
        self._is_refused = False
        self.stall = StallDetector()

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start, or refuse the connection if there are too many."""
        if self.server_state.is_full and not self.server_state.enter_reserve(self):
            self.transport = transport
            self._refuse(TOO_MANY_CONNECTIONS)
            return
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the requests in progress."""
        super().connection_lost(exc)
        self.server_state.reserve.pop(self, None)
        self.pipeline.clear()
        if self._running is not None:
            _disconnect(self._running)  # uvicorn disconnects the request that came last

    def data_received(self, data: bytes | memoryview) -> None:
        """Parse data."""
        if len(data) > SLICE_BYTES:
            view = memoryview(data)
            for start in range(0, len(data), SLICE_BYTES):
                self.data_received(view[start : start + SLICE_BYTES])
            return
        if self._is_refused:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._refuse(error.__context__.status if isinstance(error.__context__, _Refused) else BAD_REQUEST)
        except httptools.HttpParserUpgrade:
            self._upgrade()
        if self._phase != "done":
            self._check_size(len(data))

    def _check_size(self, size: int) -> None:
        """Count the last bytes of an incomplete request, and refuse one that is too large."""
        if self._phase == "head":
            self._head_bytes += size
            is_too_large = self._head_bytes > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS
        else:
            self._framing_bytes += size
            is_too_large = self._framing_bytes > MAX_HEAD_BYTES
        if is_too_large:
            self._refuse(HEAD_TOO_LARGE)

    def _upgrade(self) -> None:
        if not self._should_upgrade():
            log.debug("Ignored the upgrade of a request to another protocol.")
        elif self.cycle is not None and not self.cycle.response_complete:
            self._refuse(BAD_REQUEST)
        else:
            self._is_refused = True  # the other protocol takes over
            self.handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Start a request."""
        if len(self.pipeline) >= MAX_PIPELINED_REQUESTS:
            raise _Refused(BAD_REQUEST)
        self._phase = "head"
        self._seconds = 0.0
        self._head_bytes = self._framing_bytes = 0
        HttpToolsProtocol.on_message_begin(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Trailers are dropped: the request is being served."""
        if self._phase == "head":
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Serve the request, or refuse it."""
        if self._head_bytes:
            self._seconds = 0.0
            if self._head_size() > MAX_HEAD_BYTES:
                raise _Refused(HEAD_TOO_LARGE)
        if len(self.headers) > MAX_HEADERS:
            raise _Refused(HEAD_TOO_LARGE)
        is_reserve = bool(self.server_state.reserve) and self.server_state.stays_in_reserve(self)
        if is_reserve and self.url.partition(b"?")[0] not in HEALTH_CHECKS:
            raise _Refused(TOO_MANY_CONNECTIONS)
        HttpToolsProtocol.on_headers_complete(self)
        self._phase = "body"
        if not self.pipeline:
            self._running = self.cycle
        if is_reserve:
            self.cycle.keep_alive = False

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body."""
        self._body_bytes += len(body)
        self._framing_bytes = 0
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._phase = "done"
        HttpToolsProtocol.on_message_complete(self)

    def on_response_complete(self) -> None:
        """Start the next pipelined request. The sweep replaces uvicorn's timer for idle connections."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._seconds = 0.0
        self.flow.resume_reading()
        if self.pipeline:
            self._running, app = self.pipeline.pop()
            self._start_asgi_task(self._running, app)

    def resume_writing(self) -> None:
        """Note that the client has read."""
        self.stall.reset()
        super().resume_writing()

    @property
    def is_waiting(self) -> bool:
        """Whether no request was received yet."""
        return self.cycle is None

    def displace(self) -> None:
        """Refuse the connection, because a newer one needs its place in the reserve."""
        del self.server_state.reserve[self]
        self._refuse(TOO_MANY_CONNECTIONS)

    def give_up(self) -> None:
        """Close the connection at once, because its client does not read."""
        self.server_state.count_closed("responses unread")
        self.transport.abort()

    def check(self, elapsed: float) -> None:
        """Count the seconds since the last sweep, and close the connection if its client is too slow."""
        if self.stall.is_stalled(self.transport, self.flow.write_paused, elapsed):
            self.give_up()
        elif self._is_refused or self.transport.is_closing():
            return
        elif self._phase == "head":
            self._check_head(elapsed)
        elif self._phase == "body":
            self._check_body(elapsed)
        elif self.cycle.response_complete:
            self._seconds += elapsed
            if self._seconds > self.timeout_keep_alive:
                self.transport.close()

    def _check_head(self, elapsed: float) -> None:
        if self.flow.read_paused:
            return
        self._seconds += elapsed
        if self._seconds <= HEAD_TIMEOUT_SECONDS:
            return
        if self._head_bytes:
            self._refuse(REQUEST_TIMEOUT)
        else:
            self.server_state.count_closed("no request")
            self.transport.close()

    def _check_body(self, elapsed: float) -> None:
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            return
        # Time is not saved up: a client that sent much at once does not have longer for the rest. Once there is a
        # response, the rest is not needed.
        received = 0 if self.cycle.response_complete else self._body_bytes
        self._seconds = max(0.0, self._seconds + elapsed - received / MIN_BODY_RATE)
        self._body_bytes = 0
        if self._seconds > BODY_TIMEOUT_SECONDS:
            self._refuse(REQUEST_TIMEOUT)

    def _refuse(self, status: int) -> None:
        """Refuse what is being received. Responses to earlier requests are finished before the connection closes."""
        if self._is_refused:
            return
        self._is_refused = True
        self.server_state.count_closed(code_of(status))
        if self._phase == "head":
            self.headers.clear()
        elif self._phase == "body" and self.pipeline:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._running  # type: ignore[assignment]
        elif self._phase == "body" and self.cycle is not None:
            if not self.cycle.response_started:
                self._respond(status)
            _disconnect(self.cycle)
            self.transport.close()
            return
        if self.cycle is None or self.cycle.response_complete:
            self._respond(status)
        else:
            self.cycle.keep_alive = False

    def _respond(self, status: int) -> None:
        self.transport.write(RESPONSES[status])
        self.transport.close()


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Let the application see that its client has gone."""
    if not cycle.response_complete:
        cycle.disconnected = True
        cycle.message_event.set()
