"""What callers cannot do to the edge: fill its disk, hold its connections, or claim the address of another."""

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from graph.middleware.trusted_proxies import TrustedProxies
from graph.request_state import RequestState
from tests.helm.edge_servers import Headers, Stub, edge_for, edge_to, http_response, sending
from tests.stack.connections import Connection, Response

KNOWN = "authorization: Bearer x\r\n"
UPLOAD = "content-type: multipart/form-data; boundary=b\r\n"
LIVE = "accept: text/event-stream\r\n"


def post(length: int, *headers: str) -> bytes:
    """Return the head of a request with a body of `length` bytes."""
    return f"POST /graphql HTTP/1.1\r\nhost: x\r\n{''.join(headers)}content-length: {length}\r\n\r\n".encode()


async def respond(_stub: Stub, _headers: Headers) -> bytes:
    return http_response("{}", cache_control="no-store")


async def get(url: str, **headers: str) -> Response:
    async with Connection(url) as connection:
        return await connection.get("/graphql?query=one", **headers)


@pytest.mark.parametrize(
    ("length", "headers"),
    [
        pytest.param(900_000, (), id="no credentials"),
        pytest.param(900_000, (LIVE,), id="no credentials, server-sent events"),
        pytest.param(900_000, (UPLOAD,), id="no credentials, a file"),
        pytest.param(16 << 20, (KNOWN,), id="invented credentials"),
        pytest.param(16 << 20, (KNOWN, UPLOAD), id="invented credentials, a file"),
    ],
)
async def test_a_body_is_not_stored_while_the_server_has_not_read_it(
    tmp_path: Path, length: int, headers: tuple[str, ...]
) -> None:
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await asyncio.sleep(1)
        writer.close()

    async with (
        edge_to(tmp_path, serve) as balancer,
        sending(balancer, post(length, *headers) + bytes(length - 1)) as (reader, _),
    ):
        await arrived.wait()
        stored = [balancer.stored_bytes()]
        while not reader.at_eof():
            stored.append(balancer.stored_bytes())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.05)
        assert max(stored) == 0


async def test_a_response_is_not_stored_while_the_client_does_not_read_it(tmp_path: Path) -> None:
    size = 16 << 20
    stored: list[int] = []
    looked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http_response("x" * size, cache_control="no-store"))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(writer.drain(), 1)
        stored.append(balancer.stored_bytes())
        looked.set()
        await writer.drain()

    async with edge_to(tmp_path, serve) as balancer:
        request = b"GET /graphql?query=s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        async with sending(balancer, request) as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
            await looked.wait()
            assert len(await reader.read()) == size
        assert stored == [0]


@pytest.mark.parametrize("headers", [(), (LIVE,), (UPLOAD,)], ids=["ordinary", "events", "file"])
async def test_a_body_of_more_than_a_mebibyte_needs_credentials(tmp_path: Path, headers: tuple[str, ...]) -> None:
    async with edge_for(tmp_path, respond) as (balancer, [stub]):
        async with sending(balancer, post((1 << 20) + 1, *headers)) as (reader, _):
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
            error = await reader.readuntil(b"}}]}")
            assert b"without an Authorization header it is 1MiB." in error
            assert b"BODY_TOO_LARGE" in error
        for length, more in ((1 << 20, ()), ((1 << 20) + 1, (KNOWN,))):
            async with sending(balancer, post(length, *headers, *more) + bytes(length)) as (reader, _):
                assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        lengths = [each["content-length"] for each in stub.requests if "content-length" in each]
        assert lengths == [str(1 << 20), str((1 << 20) + 1)]


@pytest.mark.parametrize("headers", [(), (LIVE,), (UPLOAD,)], ids=["ordinary", "events", "file"])
async def test_a_body_without_a_length_is_limited_as_well(tmp_path: Path, headers: tuple[str, ...]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    head = f"POST /graphql HTTP/1.1\r\nhost: x\r\n{''.join(headers)}transfer-encoding: chunked\r\n\r\n".encode()
    body = 17 * (b"10000\r\n" + bytes(1 << 16) + b"\r\n")
    async with edge_to(tmp_path, serve) as balancer, sending(balancer, head + body) as (reader, _):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("headers", [(KNOWN,), (KNOWN, UPLOAD), (KNOWN, LIVE)], ids=["ordinary", "file", "events"])
async def test_a_refusal_ends_a_request_whose_body_is_still_arriving(tmp_path: Path, headers: tuple[str, ...]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http_response("refused", "401 Unauthorized"))
        await writer.drain()
        with contextlib.suppress(OSError):
            while await reader.read(1 << 16):
                pass
        writer.close()

    async with (
        edge_to(tmp_path, serve) as balancer,
        sending(balancer, post(16 << 20, *headers) + bytes(1 << 16)) as (reader, _),
    ):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "request_",
    [b"POST /graphql HTTP/1.1\r\nhost: x\r\n", post(100) + b"{", post(100, LIVE) + b"{"],
    ids=["head", "body", "body, events"],
)
async def test_a_request_that_does_not_arrive_is_dropped(tmp_path: Path, request_: bytes) -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        closed.set()
        writer.close()

    async with edge_to(tmp_path, serve, clientSeconds=1) as balancer, sending(balancer, request_) as (reader, _):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        if b"\r\n\r\n" in request_:
            await closed.wait()


@pytest.mark.parametrize("headers", [(KNOWN,), (KNOWN, UPLOAD)], ids=["ordinary", "file"])
async def test_a_batch_may_pause_while_it_is_sent(tmp_path: Path, headers: tuple[str, ...]) -> None:
    async with (
        edge_for(tmp_path, respond, clientSeconds=1) as (balancer, _),
        sending(balancer, post(2, *headers) + b"{") as (reader, writer),
    ):
        await asyncio.sleep(2)
        writer.write(b"}")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


async def test_the_head_of_a_request_is_limited(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond) as (balancer, [stub]):
        assert (await get(balancer.url, authorization="x" * 16_000)).status == 200
        assert (await get(balancer.url, authorization="x" * 40_000)).status == 400
        many = "".join(f"x-{number}: {'x' * 1000}\r\n" for number in range(70))
        async with sending(balancer, f"GET /graphql HTTP/1.1\r\nhost: x\r\n{many}\r\n".encode()) as (reader, _):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        assert len(stub.requests) == 1


async def test_a_client_cannot_claim_an_address(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond) as (balancer, [stub]):
        await get(balancer.url, x_forwarded_for="203.0.113.7")
        assert stub.requests[0]["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1, 203.0.113.7, 127.0.0.1", "203.0.113.7"),
        ("198.51.100.1, 2001:db8::7", "2001:db8::7"),
        ("nonsense", "127.0.0.1"),
    ],
)
async def test_behind_a_balancer_the_server_sees_the_address_that_it_reports(
    tmp_path: Path, forwarded: str, client: str
) -> None:
    async with edge_for(tmp_path, respond, balancers=["127.0.0.1"]) as (balancer, [stub]):
        await get(balancer.url, x_forwarded_for=forwarded)
        assert stub.requests[0]["x-forwarded-for"] == client
        state = cast("RequestState", SimpleNamespace(header=lambda name: stub.requests[0][name.decode()]))
        through_the_edge = TrustedProxies(["127.0.0.0/8"]).client_address(("127.0.0.1", 1), state)
        assert through_the_edge == TrustedProxies([]).client_address((client, 1), state)


async def test_an_ipv6_network_shares_one_rate(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond, balancers=["127.0.0.1"], ratePerSecond=1, burst=1) as (balancer, _):

        async def statuses(*clients: str) -> list[int]:
            return [(await get(balancer.url, x_forwarded_for=each)).status for each in clients]

        assert await statuses("2001:db8:1:a::1", "2001:db8:1:a:ffff::2", "2001:db8:1:a::3") == [200, 200, 429]
        assert await statuses("::ffff:203.0.113.1", "::ffff:203.0.113.2", "203.0.113.1") == 3 * [200]
        assert await statuses("::ffff:203.0.113.1") == [429], "the same client by both notations"
        assert await statuses("2001:db8:1:b::1", "2001:db8:0a0a:a::1", "203.0.113.7", "203.0.113.8") == 4 * [200]
