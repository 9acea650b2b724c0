"""Draining a socket: queued connections are accepted, later ones are blocked."""

import socket
import sys

import pytest

from cli.serve.socket_drain import block_connections, queue_length, unblock_connections

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")


def test_queued_connections_are_accepted_and_later_ones_blocked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        assert queue_length(listener) == 0
        with socket.create_connection(listener.getsockname(), 5) as client:
            block_connections(listener)
            assert queue_length(listener) == 1
            with pytest.raises(TimeoutError):
                socket.create_connection(listener.getsockname(), 0.2)
            accepted, address = listener.accept()
            assert queue_length(listener) == 0
            with accepted:
                assert address == client.getsockname()
                client.sendall(b"?")
                assert accepted.recv(1) == b"?"
            with pytest.raises(TimeoutError):
                listener.accept()


def test_a_server_that_takes_over_the_socket_unblocks_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unblock_connections(listener)
        block_connections(listener)
        unblock_connections(listener)
        with socket.create_connection(listener.getsockname(), 5):
            pass
