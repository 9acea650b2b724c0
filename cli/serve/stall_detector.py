"""Clients that do not read what is written to them."""

import sys
from asyncio import Transport

if sys.platform == "linux":
    import fcntl
    import struct
    import termios

WRITE_TIMEOUT_SECONDS = 30.0
"""How long a client may leave what is written to it unread."""

MIN_READ_BYTES = 4096
"""Bytes that count as reading within that time."""


class StallDetector:
    """Detects a client that has stopped reading.

    Its write buffer is full, or its connection is closing, and no data leaves.
    """

    __slots__ = ("_unread", "buffered", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        """Seconds since the client last read; 0 if there is nothing to read."""
        self.buffered = 0
        """Bytes in the write buffer at the last check; 0 if there is nothing to read."""
        self._unread = 0

    def reset(self) -> None:
        """Begin again: the client has read."""
        self.seconds = 0.0

    def is_stalled(self, transport: Transport, is_paused: bool, elapsed: float) -> bool:
        """Count the seconds since the last call, and return whether the client has read too little for too long."""
        if not ((is_paused or transport.is_closing()) and transport.get_write_buffer_size()):
            self.seconds = 0.0
            self.buffered = 0
            return False
        self.buffered = transport.get_write_buffer_size()
        unread = self.buffered + _unread_by_peer(transport)
        if not self.seconds or unread <= self._unread - MIN_READ_BYTES:
            self._unread = unread
            self.seconds = 0.0
        self.seconds += elapsed
        return self.seconds > WRITE_TIMEOUT_SECONDS


def _unread_by_peer(transport: Transport) -> int:
    """Return the bytes in the send queue of the kernel, which takes more only when a third of it is free."""
    if sys.platform != "linux":
        return 0
    result = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    size: int = struct.unpack("i", result)[0]
    return size
