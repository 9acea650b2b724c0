"""The limits of WebSockets: messages, fragments, frames, and clients that do not read or do not send."""

import logging
import struct
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from cli.serve import stall_detector, websocket_protocol
from cli.serve.websocket_protocol import FRAME_BURST, MAX_FRAGMENTS, MAX_MESSAGE_BYTES
from tests.cli.serve.application import Client, RunningServer
from tests.cli.serve.test_http_protocol import REQUEST, statuses, wait_until

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FINAL = 0x80


def opening(path: str, headers: str = "") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
    ).encode()


def opened(server: RunningServer, path: str, headers: str = "") -> tuple[Client, bytes]:
    client = server.connect(opening(path, headers))
    return client, client.read()


def frame(opcode: int, data: bytes = b"", final: int = FINAL) -> bytes:
    length = len(data)
    if length < 126:
        size = struct.pack("!B", 0x80 | length)
    else:
        size = struct.pack("!BH", 0xFE, length) if length < 1 << 16 else struct.pack("!BQ", 0xFF, length)
    return bytes([final | opcode]) + size + bytes(4) + data


def close_code(client: Client) -> int:
    """Read to the end and return the code of the close frame, whose reason is shorter than 126 bytes."""
    received = client.read_all()
    start = received.rindex(bytes([FINAL | CLOSE]))
    return int.from_bytes(received[start + 2 : start + 4], "big")


def test_messages_are_echoed_in_order_with_pings_between_fragments(server: RunningServer) -> None:
    client, _ = opened(server, "/socket")
    with client:
        client.send(frame(TEXT, b"a", 0) + frame(PING, b"?") + frame(CONT, b"b") + frame(TEXT, b"c" * 70_000))
        received = b""
        while len(received) < 3 + 4 + 70_010:
            received += client.read()
        assert received[:7] == b"\x8a\x01?\x81\x02ab"
        client.send(frame(CLOSE, b"\x03\xe8"))
        assert close_code(client) == 1000


def test_the_library_of_clients_is_served(server: RunningServer) -> None:
    host, port = server.address
    with connect(f"ws://{host}:{port}/socket") as websocket:
        for text in ("x" * MAX_MESSAGE_BYTES, "y"):
            websocket.send(text)
            assert websocket.recv() == text
        websocket.ping().wait(5)
        websocket.send("x" * (MAX_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_a_refused_handshake_is_not_logged_as_an_error(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    with server.connect(opening("/socket/refused")) as client:
        response = client.read_all()
    assert statuses(response) == [401]
    assert response.endswith(b"\r\n\r\nNo.")
    wait_until(lambda: not server.server.server_state.tasks)
    assert [record for record in caplog.records if record.name == "websockets.server"] == []


def test_compression_is_not_offered(server: RunningServer) -> None:
    client, response = opened(server, "/socket", "Sec-WebSocket-Extensions: permessage-deflate\r\n")
    with client:
        assert statuses(response) == [101]
        assert b"deflate" not in response


def test_the_fragments_of_a_message_are_added_up(server: RunningServer) -> None:
    client, _ = opened(server, "/socket")
    with client:
        client.send(frame(TEXT, bytes(MAX_MESSAGE_BYTES - 1), 0) + frame(CONT, b"xx"))
        assert close_code(client) == 1009


def test_the_size_of_a_frame_is_checked_before_it_is_received(server: RunningServer) -> None:
    client, _ = opened(server, "/socket")
    with client:
        client.send(frame(TEXT, bytes(MAX_MESSAGE_BYTES + 1))[:14])
        assert close_code(client) == 1009


def test_the_number_of_fragments_is_limited(server: RunningServer) -> None:
    client, _ = opened(server, "/socket")
    with client:
        client.send(frame(TEXT, b"", 0) + frame(CONT, b"", 0) * MAX_FRAGMENTS)
        assert close_code(client) == 1008


@pytest.mark.parametrize("kind", [TEXT, PING, PONG])
def test_the_number_of_frames_is_limited(server: RunningServer, kind: int) -> None:
    client, _ = opened(server, "/socket/silent")
    with client:
        client.send_until_closed(frame(kind) * 20 * FRAME_BURST, 1)
        wait_until(lambda: not server.server.server_state.connections)
    assert server.application.received["/socket/silent"] <= FRAME_BURST + websocket_protocol.MAX_FRAMES_PER_SECOND


def test_frames_are_allowed_again_with_time(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "FRAME_BURST", 20)
    client, _ = opened(server, "/socket/silent")
    with client:
        for _ in range(5):
            client.send(frame(TEXT) * 15)
            time.sleep(0.3)
        wait_until(lambda: server.application.received["/socket/silent"] == 75)


def test_each_message_is_handled_in_a_turn_of_its_own(server: RunningServer) -> None:
    client, _ = opened(server, "/socket/silent")
    with client:
        client.send(frame(TEXT) * 500)
        wait_until(lambda: server.application.received["/socket/silent"] == 500)
    assert len(set(server.application.turns_of_messages)) == 500


def test_messages_that_the_application_does_not_take_are_not_read(server: RunningServer) -> None:
    client, _ = opened(server, "/socket/held")
    with client:
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            client.send(frame(TEXT, b"x" * 100_000) * 500)
        server.release()
        wait_until(lambda: server.application.received["/socket/held"])


def test_unread_messages_are_given_up(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall_detector, "WRITE_TIMEOUT_SECONDS", 0.5)
    client, _ = opened(server, "/socket/send")
    with client:
        wait_until(lambda: server.application.ended["/socket/send"])


def test_unread_pongs_are_given_up(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "FRAME_BURST", 10**9)
    monkeypatch.setattr(stall_detector, "WRITE_TIMEOUT_SECONDS", 1.0)
    client, _ = opened(server, "/socket")
    (protocol,) = server.server.server_state.connections
    with client:
        sent = client.send_until_closed(frame(PING, bytes(125)) * 100, 1 << 30)
        assert sent < 1 << 29
    wait_until(lambda: server.application.ended["/socket"])
    assert protocol.transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("part", [frame(TEXT, b"x", 0), frame(TEXT, b"xx")[:-1]], ids=["message", "frame"])
def test_a_message_has_to_be_finished(server: RunningServer, monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    monkeypatch.setattr(websocket_protocol, "MESSAGE_TIMEOUT_SECONDS", 0.3)
    client, _ = opened(server, "/socket")
    with client:
        client.send(part)
        assert close_code(client) == 1008


def test_an_idle_socket_lives(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "MESSAGE_TIMEOUT_SECONDS", 0.2)
    client, _ = opened(server, "/socket")
    with client:
        time.sleep(0.6)
        client.send(frame(TEXT, b"x"))
        assert client.read() == b"\x81\x01x"


def test_pings_keep_a_socket_whose_messages_wait(server: RunningServer) -> None:
    server.config.ws_ping_interval, server.config.ws_ping_timeout = 0.1, 0.2
    waiting, _ = opened(server, "/socket/held")
    silent, _ = opened(server, "/socket")
    with waiting, silent:
        waiting.send(frame(TEXT, b"x") * 2)
        assert close_code(silent) == 1011
        time.sleep(0.5)
        server.release()
        wait_until(lambda: server.application.received["/socket/held"] == 2)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (opening("/socket", f"h: {'v' * 9000}\r\n"), 431),
        (opening("/socket" + "x" * 9000), 414),
        (opening("/socket").replace(b": 13", b": 12"), 400),
    ],
)
def test_an_invalid_opening_request_is_refused(server: RunningServer, request_head: bytes, status: int) -> None:
    with server.connect(request_head) as client:
        assert statuses(client.read_all()) == [status]
    assert server.application.requests == []


def test_a_socket_cannot_be_opened_before_the_response_to_another_request(server: RunningServer) -> None:
    with server.connect(REQUEST.replace(b"/ ", b"/held ") + opening("/socket")) as client:
        wait_until(lambda: server.application.requests == ["/held"])
        server.release()
        assert statuses(client.read_all()) == [200]


def test_text_has_to_be_utf_8(server: RunningServer) -> None:
    client, _ = opened(server, "/socket")
    with client:
        client.send(frame(TEXT, b"\xff"))
        assert close_code(client) == 1007


def test_sockets_are_not_logged_one_by_one(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for data in (frame(TEXT, b"\xff"), frame(CLOSE, b"\x03\xe8"), b"\xff\x80" + bytes(4), frame(TEXT, b"", 0) * 2):
        client, _ = opened(server, "/socket")
        with client:
            client.send(data)
            client.read_all()
    assert [record for record in caplog.records if record.name != "asyncio"] == []
