"""WebSockets with limits of what a client may send, and of the time that it may take.

uvicorn's protocol, except that frames are handled one at a time, and only while the application has taken the message
before and the client reads what is written to it. Meanwhile the connection is not read, so that TCP holds the client
back.
"""

import logging
from asyncio import AbstractEventLoop
from typing import Any

from uvicorn import Config
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from cli.serve.connections import ConnectionState
from cli.serve.refusals import BAD_REQUEST, RESPONSES
from cli.serve.stall_detector import StallDetector

MAX_MESSAGE_BYTES = 128 << 10
"""Size of a message, all its fragments together."""

MAX_FRAGMENTS = 128
"""Fragments of a message: enough for the largest in pieces of 1 KiB."""

MAX_FRAMES_PER_SECOND = 500
"""Frames of any kind that a client may send in the long run."""

FRAME_BURST = 1000
"""Frames that a client may send at once."""

FRAMES_PER_TURN = 32
"""Frames that are handled in one turn of the event loop."""

MESSAGE_TIMEOUT_SECONDS = 20.0
"""Time from the first byte of a message or a frame to its last."""

_CONTINUATION, _CONTROL = 0, 8
"""Opcode of further fragments of a message, and the bit in those of pings, pongs and close frames (RFC 6455, 5.2)."""

_log = logging.getLogger("websockets.server")  # the configuration of the log resets the levels below `pricebook`
_log.setLevel(logging.ERROR)  # uvicorn and websockets log some lines for each connection


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket of the server."""

    def __init__(
        self,
        config: Config,
        server_state: ConnectionState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = self.conn.logger = _log
        self.conn.debug = False  # it logs the content of every frame
        self._state = server_state
        self.stall = StallDetector()
        self._unhandled = bytearray()
        self._is_scheduled = False
        self._fragments = 0
        self._seconds = 0.0
        self._allowance = float(FRAME_BURST)

    def data_received(self, data: bytes) -> None:
        """Handle the opening request, and frames after it."""
        if self.handshake_initiated:
            self._unhandled += data
            if not self._is_scheduled:
                self._handle_frames()
            return
        super().data_received(data)
        if not self.handshake_initiated:  # the websockets library found the request invalid
            self.transport.write(b"".join(self.conn.data_to_send()) or RESPONSES[BAD_REQUEST])
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._unhandled.clear()
        super().connection_lost(exc)

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message. It is handled in a turn of the event loop of its own, so that others get theirs."""
        if self.queue.empty():
            self._schedule()
        return await self.queue.get()

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message when the client has read those before: one sender at a time, if several wait.

        Raises `ClientDisconnected` once the connection is closing.
        """
        while not self.writable.is_set():
            await self.writable.wait()
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True  # uvicorn leaves it False after a response, and logs an error for it
        self._schedule()

    def resume_writing(self) -> None:
        """Note that the client has read."""
        super().resume_writing()
        self.stall.reset()
        self._schedule()

    def shutdown(self) -> None:
        """Leave an open connection to the application, which closes it when its operations have finished."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()

    def give_up(self) -> None:
        """Close the connection at once, because its client does not read."""
        self._state.count_closed("messages unread")
        self.transport.abort()

    def check(self, elapsed: float) -> None:
        """Count the seconds since the last sweep, and close the connection if its client is too slow."""
        self._allowance = min(FRAME_BURST, self._allowance + elapsed * MAX_FRAMES_PER_SECOND)
        if self.stall.is_stalled(self.transport, not self.writable.is_set(), elapsed):
            self.give_up()
        elif self.transport.is_closing():
            return
        elif (self._unhandled or self.frames) and not self._is_held:
            self._seconds += elapsed
            if self._seconds > MESSAGE_TIMEOUT_SECONDS:
                self._fail(CloseCode.POLICY_VIOLATION, "message too slow")
        else:
            self._seconds = 0.0

    def keepalive_timeout(self) -> None:
        """Close the connection for a missing pong, unless it may be among the frames that the server holds back."""
        if not (self._unhandled and self._is_held):
            super().keepalive_timeout()
            return
        self.pong_timer = self.pending_ping_payload = None
        self.schedule_ping()

    def send_receive_event_to_app(self) -> None:
        """Put a complete message into the queue."""
        data = b"".join(self.frames)
        self.frames = []
        self._seconds = 0.0
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
            return
        try:
            self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "invalid UTF-8")

    def _schedule(self) -> None:
        if self._unhandled and not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._handle_frames)

    def _handle_frames(self) -> None:
        """Handle complete frames, some in each turn of the event loop; read on when there are no more."""
        self._is_scheduled = False
        for _ in range(FRAMES_PER_TURN):
            if self.transport.is_closing():
                return
            size = self._frame_size()
            if size is None:
                self.transport.resume_reading()
                return
            self.transport.pause_reading()
            if self._is_held:
                return
            self._handle_frame(size)
        self._schedule()

    @property
    def _is_held(self) -> bool:
        """Whether frames wait for the application or the client."""
        is_taken = self.close_sent or (self.handshake_complete and self.queue.empty())
        return not (is_taken and self.writable.is_set())

    def _frame_size(self) -> int | None:
        """Return the size of the next frame, or of its header if it is too large; None if it is incomplete."""
        data = self._unhandled
        if len(data) < 2:
            return None
        length, header = data[1] & 0x7F, 6 if data[1] & 0x80 else 2
        if length > 125:
            length_bytes = 2 if length == 126 else 8
            header += length_bytes
            length = int.from_bytes(data[2 : 2 + length_bytes], "big")
        size = header if length > self.config.ws_max_size else header + length
        return size if len(data) >= header and len(data) >= size else None

    def _handle_frame(self, size: int) -> None:
        frame = bytes(self._unhandled[:size])
        del self._unhandled[:size]
        opcode = frame[0] & 0x0F
        if not opcode & _CONTROL:
            self._fragments = self._fragments + 1 if opcode == _CONTINUATION else 1
        self._allowance -= 1
        if self._allowance < 0:
            self._fail(CloseCode.POLICY_VIOLATION, "too many frames")
        elif self._fragments > MAX_FRAGMENTS:
            self._fail(CloseCode.POLICY_VIOLATION, "too many fragments")
        else:
            super().data_received(frame)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._state.count_closed(f"WebSocket: {reason}")
        self.conn.fail(code, reason)
        self.handle_parser_exception()
