"""The limits of HTTP connections: heads, bodies, pipelined requests, and clients that do not read or do not send."""

import logging
import socket
import threading
import time
from collections.abc import Callable

import pytest

from cli.serve import connections, http_protocol, stall_detector
from tests.cli.serve.application import LARGE_BYTES, Client, RunningServer
from tests.waiting import DEADLINE_SECONDS, POLL_INTERVAL_SECONDS

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
REQUEST = GET + b"\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def wait_until(probe: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not probe():
        assert time.monotonic() < deadline
        time.sleep(POLL_INTERVAL_SECONDS)


def statuses(responses: bytes) -> list[int]:
    return [int(part[:3]) for part in responses.split(b"HTTP/1.1 ")[1:]]


# Heads.


def test_a_head_up_to_the_limits_is_served(server: RunningServer) -> None:
    headers = b"".join(b"h%d: %s\r\n" % (n, b"v" * 300) for n in range(98))
    with server.connect(GET + headers + b"\r\n") as client:
        assert statuses(client.read()) == [200]


@pytest.mark.parametrize(
    "headers",
    [
        b"h: " + b"v" * (33 << 10) + b"\r\n",
        b"".join(b"h%d: v\r\n" % n for n in range(100)),
        b"a:b\r\n" * 10_000,
        b"h: " + b"v" * (1 << 20),
    ],
    ids=["too large", "too many", "very many", "unfinished"],
)
def test_a_head_over_a_limit_is_refused(server: RunningServer, headers: bytes) -> None:
    with server.connect(GET) as client:
        client.send_until_closed(headers + b"\r\n", 1)
        response = client.read_all()
    assert statuses(response) in ([431], [])  # a reset connection loses the response
    assert server.application.requests == []


def test_an_url_over_the_limit_is_refused(server: RunningServer) -> None:
    with server.connect(b"GET /" + b"a" * (33 << 10) + b" HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        assert statuses(client.read_all()) == [431]


def test_the_error_has_a_stable_code(server: RunningServer) -> None:
    with server.connect(GET + b"h: v\r\n" * 100 + b"\r\n") as client:
        response = client.read_all()
    assert b"connection: close" in response
    assert b'"code":"HEAD_TOO_LARGE"' in response


def test_endless_headers_are_not_read(server: RunningServer) -> None:
    with server.connect(GET) as client:
        assert client.send_until_closed(b"a:b\r\n" * 20_000, 40 << 20) < 20 << 20


def test_a_split_head_is_measured_exactly(server: RunningServer) -> None:
    with server.connect() as client:
        head = GET + b"h: " + b"v" * (33 << 10) + b"\r\n\r\n"
        for start in range(0, len(head), 8 << 10):
            client.send(head[start : start + (8 << 10)])
            time.sleep(0.02)
        assert statuses(client.read_all()) == [431]


def test_trailers_are_dropped(server: RunningServer) -> None:
    with server.connect(CHUNKED + b"1\r\nx\r\n0\r\nAuthorization: Bearer y\r\n\r\n" + REQUEST) as client:
        wait_until(lambda: len(server.application.requests) == 2)
        assert statuses(client.read()) in ([200], [200, 200])
    assert [name for name, _ in server.application.headers] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize(
    ("start", "endless"),
    [(b"0\r\n", b"a:b\r\n" * 5000), (b"0\r\na: ", b"b" * 20_000), (b"1;e=", b"b" * 20_000), (b"0", b"0" * 20_000)],
    ids=["trailers", "trailer", "chunk extension", "chunk size"],
)
def test_endless_trailers_and_chunk_extensions_are_not_read(
    server: RunningServer, start: bytes, endless: bytes
) -> None:
    with server.connect(CHUNKED + start) as client:
        assert client.send_until_closed(endless, 40 << 20) < 20 << 20


# Slow clients.


def test_a_connection_without_a_request_is_closed(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_SECONDS", 0.3)
    with server.connect() as client:
        assert client.read_all() == b""


@pytest.mark.parametrize("first", [b"", REQUEST], ids=["first", "second"])
def test_a_slow_head_is_refused(server: RunningServer, monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_SECONDS", 0.5)
    with server.connect(first + GET) as client:
        sender = threading.Thread(target=trickle, args=(client, b"a:b\r\n", 0.05))
        sender.start()
        assert statuses(client.read_all())[-1:] == [408]
        client.socket.close()
        sender.join()


def trickle(client: Client, data: bytes, seconds: float) -> None:
    try:
        while True:
            time.sleep(seconds)
            client.send(data)
    except OSError:
        pass


def test_an_idle_connection_is_kept_for_the_next_request(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_SECONDS", 0.2)
    with server.connect(REQUEST) as client:
        assert statuses(client.read()) == [200]
        time.sleep(0.6)
        client.send(REQUEST)
        assert statuses(client.read()) == [200]


def test_an_idle_connection_is_closed_in_the_end(server: RunningServer) -> None:
    server.config.timeout_keep_alive = 0
    with server.connect(REQUEST) as client:
        assert statuses(client.read_all()) == [200]


def test_a_slow_body_is_refused_and_the_application_disconnected(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "BODY_TIMEOUT_SECONDS", 0.5)
    with server.connect(CHUNKED + b"ffff\r\nxxx") as client:
        sender = threading.Thread(target=trickle, args=(client, b"x", 0.05))
        sender.start()
        response = client.read_all()
        client.socket.close()
        sender.join()
    assert statuses(response) == [408]
    wait_until(lambda: server.application.ended["disconnect /"])


def test_time_for_a_body_is_not_saved_up(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "BODY_TIMEOUT_SECONDS", 0.3)
    with server.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + bytes(1 << 20)) as client:
        assert statuses(client.read_all()) == [408]


def test_a_body_at_the_minimum_rate_is_received(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "BODY_TIMEOUT_SECONDS", 0.4)
    monkeypatch.setattr(http_protocol, "MIN_BODY_RATE", 100)
    with server.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 600\r\n\r\n") as client:
        for _ in range(20):
            time.sleep(0.1)
            client.send(bytes(30))
        received = b'{"received": 600}'
        assert client.read_until(received).endswith(received)


def test_time_in_which_the_server_does_not_read_is_not_counted(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "BODY_TIMEOUT_SECONDS", 0.3)
    with server.connect(b"POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + bytes(400_000)) as client:
        time.sleep(0.8)
        server.release()
        client.send(bytes(100_000))
        received = b'{"received": 500000}'
        assert client.read_until(received).endswith(received)


def test_a_body_after_its_response_is_not_awaited(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "BODY_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(http_protocol, "MIN_BODY_RATE", 1)
    with server.connect(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n") as client:
        sender = threading.Thread(target=trickle, args=(client, b"x" * 100, 0.05))
        sender.start()
        assert statuses(client.read_all()) == [200]
        client.socket.close()
        sender.join()


# Pipelined requests.


def test_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    with server.connect(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + REQUEST * 8) as client:
        responses = b""
        while responses.count(b"received") < 9:
            responses += client.read()
    assert statuses(responses) == [200] * 9
    assert responses.index(b'"received": 3') < responses.index(b'"received": 0')


def test_the_number_of_waiting_requests_is_limited(server: RunningServer) -> None:
    with server.connect(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST * 10_000) as client:
        wait_until(lambda: server.application.requests == ["/held"])
        server.release()
        assert statuses(client.read_all()) == [200] * (1 + http_protocol.MAX_PIPELINED_REQUESTS)


def test_a_client_that_leaves_disconnects_the_request_in_progress(server: RunningServer) -> None:
    with server.connect(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST):
        wait_until(lambda: server.application.requests == ["/watch"])
    wait_until(lambda: server.application.ended["disconnect /watch"])


@pytest.mark.parametrize(
    "bad", [b"GET /\x00\r\n\r\n", REQUEST.replace(b"/ ", b"/\xff "), GET + b"h: v\r\n" * 100 + b"\r\n"]
)
def test_responses_in_progress_are_finished_before_a_bad_request_closes(server: RunningServer, bad: bytes) -> None:
    with server.connect(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n" + bad) as client:
        wait_until(lambda: server.application.requests == ["/held"])
        server.release()
        assert statuses(client.read_all()) == [200]


def test_a_bad_chunk_disconnects_the_application(server: RunningServer) -> None:
    with server.connect(CHUNKED + b"3\r\nabc\r\nzz\r\n") as client:
        assert statuses(client.read_all()) == [400]
    wait_until(lambda: server.application.ended["disconnect /"])


# Clients that do not read.


def slow_reader(server: RunningServer, requests: bytes) -> Client:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.settimeout(15)
    connection.connect(server.address)
    return Client(connection, requests)


LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("requests", [LARGE, LARGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), LARGE * 3])
def test_an_unread_response_is_given_up(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, requests: bytes
) -> None:
    monkeypatch.setattr(stall_detector, "WRITE_TIMEOUT_SECONDS", 0.5)
    with slow_reader(server, requests) as client:
        wait_until(lambda: server.application.requests)
        wait_until(lambda: not server.server.server_state.connections)
        assert len(client.read_all()) < LARGE_BYTES


def test_those_who_read_nothing_for_longest_are_given_up_if_all_leave_too_much_unread(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with slow_reader(server, LARGE), slow_reader(server, LARGE):
        wait_until(lambda: server.application.ended["/large"] == 2)
        unread = [each.transport.get_write_buffer_size() for each in server.server.server_state.connections]
        assert min(unread) > 0
        monkeypatch.setattr(connections, "MAX_UNREAD_BYTES", max(unread))
        wait_until(lambda: len(server.server.server_state.connections) == 1)


def test_a_slow_reader_receives_everything(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall_detector, "WRITE_TIMEOUT_SECONDS", 0.5)
    with slow_reader(server, LARGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as client:
        received, started = 0, time.monotonic()
        while time.monotonic() - started < 2:
            received += len(client.read(4096))
            time.sleep(0.01)
        assert received + len(client.read_all()) > LARGE_BYTES


# Connections, and the log.


def test_connections_over_the_limit_are_refused_except_for_health_checks(server: RunningServer) -> None:
    server.server.server_state.max_connections = 2
    with server.connect(REQUEST) as first, server.connect() as second, server.connect(REQUEST) as third:
        assert statuses(first.read()) == [200]
        assert statuses(third.read_all()) == [503]
        with server.connect(b"GET /readyz?x HTTP/1.1\r\nHost: x\r\n\r\n") as check:
            assert statuses(check.read_all()) == [200]
        second.send(REQUEST)
        assert statuses(second.read()) == [200]
        assert statuses(first.send(REQUEST).read()) == [200]
    wait_until(lambda: not server.server.server_state.connections)
    with server.connect(REQUEST) as client:
        assert statuses(client.read()) == [200]


def test_health_checks_are_served_while_connections_over_the_limit_wait(server: RunningServer) -> None:
    server.server.server_state.max_connections = 1
    with server.connect(REQUEST) as client:
        client.read()
        waiting = [server.connect() for _ in range(connections.RESERVED_CONNECTIONS + 20)]
        with server.connect(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as check:
            assert statuses(check.read_all()) == [200]
        assert statuses(waiting[0].read_all()) == [503]
        assert len(server.server.server_state.connections) <= connections.RESERVED_CONNECTIONS + 1
        for each in waiting:
            each.socket.close()


def test_refusals_are_counted_not_logged_one_by_one(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(connections, "REPORT_INTERVAL_SECONDS", 0.5)
    for _ in range(20):
        with server.connect(b"\x00\x00\r\n\r\n") as client:
            assert statuses(client.read_all()) == [400]
        with server.connect(GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n") as client:
            client.read()
    wait_until(lambda: "(BAD_REQUEST)" in caplog.text)
    assert [record.name for record in caplog.records if record.name not in {"uvicorn.access", "asyncio"}] == [
        "pricebook.cli"
    ]
