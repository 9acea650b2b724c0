"""Stops a listening socket without losing a request.

When a listening socket is closed, the kernel resets the connections in its accept queue, including requests that were
already sent. A packet filter therefore keeps new connections out of the queue first (SO_ATTACH_FILTER, socket(7); Linux
only). A client repeats its SYN after a second and is refused then, so that it can safely try another server.
"""

import ctypes
import errno
import socket
import struct
import sys

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h
_DROP = struct.pack("HBBI", 0x06, 0, 0, 0)  # linux/filter.h: BPF_RET | BPF_K, accepting 0 bytes of the packet


def block_connections(listener: socket.socket) -> None:
    """Keep new connections out of the accept queue, for all processes that listen on this socket."""
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(_DROP)
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


def queue_length(listener: socket.socket) -> int:
    """Return the number of connections in the accept queue; 0 if the system is not Linux."""
    if sys.platform != "linux":
        return 0
    unacked: int = struct.unpack_from("I", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0]
    return unacked  # linux/tcp.h: tcpi_unacked of a listening socket is its queue length


def unblock_connections(listener: socket.socket) -> None:
    """Let new connections into the queue again."""
    if sys.platform == "linux":
        try:
            listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
