"""How a socket stops listening without a lost request.

Where a listening socket is closed, the system resets the connections that wait in its queue, and with them requests
that were already sent. So before that nothing more gets into the queue: a filter drops what arrives (SO_ATTACH_FILTER,
socket(7); on Linux). A client repeats its SYN after a second, and is refused then: it knows that nothing was done, and
asks another server.
"""

import ctypes
import errno
import socket
import struct
import sys

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h
_DROP = struct.pack("HBBI", 0x06, 0, 0, 0)  # linux/filter.h: BPF_RET | BPF_K, with 0 bytes of the packet


def let_nobody_in(listener: socket.socket) -> None:
    """Let no connection into the queue any more, of this process or another that listens on the same socket."""
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(_DROP)
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


def waiting(listener: socket.socket) -> int:
    """Return how many connections are in the queue, as far as the system tells."""
    if sys.platform != "linux":
        return 0
    unacked: int = struct.unpack_from("I", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0]
    return unacked  # linux/tcp.h: of a socket that listens, tcpi_unacked is the length of its queue


def let_in(listener: socket.socket) -> None:
    """Let connections in again."""
    if sys.platform == "linux":
        try:
            listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
