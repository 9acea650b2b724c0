"""How a socket stops listening: who is in its queue is served, who comes later gets no connection."""

import socket
import sys

import pytest

from cli.serve.socket_drain import let_in, let_nobody_in, waiting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")


def test_who_waits_is_accepted_and_nobody_else_gets_in() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        assert waiting(listener) == 0
        with socket.create_connection(listener.getsockname(), 5) as client:
            let_nobody_in(listener)
            assert waiting(listener) == 1
            with pytest.raises(TimeoutError):
                socket.create_connection(listener.getsockname(), 0.2)
            accepted, address = listener.accept()
            assert waiting(listener) == 0
            with accepted:
                assert address == client.getsockname()
                client.sendall(b"?")
                assert accepted.recv(1) == b"?"
            with pytest.raises(TimeoutError):
                listener.accept()


def test_a_server_that_takes_the_socket_over_lets_in_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        let_in(listener)
        let_nobody_in(listener)
        let_in(listener)
        with socket.create_connection(listener.getsockname(), 5):
            pass
