"""The edge as the chart configures it, before servers that do what a test wants: what is kept, repeated, limited."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.stack.connections import Connection, Response
from tests.stack.edge import Edge, edge, free_port

Head = dict[str, str]
Answer = Callable[["Stub", Head, bytes], Awaitable[bytes | None]]

KEPT = {
    "cache-control": "public, max-age=1, stale-while-revalidate=5",
    "etag": '"one"',
    "vary": "Accept, Authorization",
}


def http(body: str, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body]).encode()


class Stub:
    """A server that notes what it is asked and answers as it is told; without an answer it closes the connection."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Head] = []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Stub":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
                head = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
                head["request"] = start
                body = await reader.readexactly(int(head.get("content-length", "0")))
                self.asked.append(head)
                answer = await self.answer(self, head, body)
                if answer is None:
                    break
                writer.write(answer)
        writer.close()


async def fine(stub: Stub, _head: Head, _body: bytes) -> bytes:
    return http(f"{stub.port} {len(stub.asked)}", cache_control="no-store", x_request_id="of the server")


async def kept(stub: Stub, head: Head, _body: bytes) -> bytes:
    await asyncio.sleep(0.02)
    if head.get("if-none-match") == KEPT["etag"]:
        return http("", "304 Not Modified", **KEPT)
    return http(f"answer {len(stub.asked)}", **KEPT)


async def slow(_stub: Stub, _head: Head, _body: bytes) -> bytes:
    await asyncio.sleep(0.2)
    return http("slow", cache_control="public, max-age=0, must-revalidate")


async def nothing(_stub: Stub, _head: Head, _body: bytes) -> None:
    return None


@asynccontextmanager
async def before(
    folder: Path, *answers: Answer, settings: Mapping[str, object] | None = None, **values: object
) -> AsyncIterator[tuple[Edge, list[Stub]]]:
    """The edge before one server for each of these answers."""
    async with contextlib.AsyncExitStack() as stack:
        stubs = [await stack.enter_async_context(Stub(answer)) for answer in answers]
        started = edge(folder, [stub.url for stub in stubs], settings, **{"ratePerSecond": 0, **values})
        yield await asyncio.to_thread(stack.enter_context, started), stubs


async def get(url: str, target: str = "/graphql?query=one", **headers: str) -> Response:
    async with Connection(url) as connection:
        return await connection.get(target, **headers)


async def post(url: str) -> Response:
    async with Connection(url) as connection:
        return await connection.post({"query": "{ a }"})


async def test_an_answer_that_may_be_kept_is_and_is_asked_for_by_its_etag_when_it_is_old(tmp_path: Path) -> None:
    async with before(tmp_path, kept) as (balancer, [stub]):
        first, second = await get(balancer.url), await get(balancer.url)
        assert [each.headers["x-cache"] for each in (first, second)] == ["MISS", "HIT"]
        assert first.body == second.body == b"answer 1"
        assert (second.headers["etag"], second.headers["cache-control"]) == (KEPT["etag"], KEPT["cache-control"])
        await asyncio.sleep(2.2)
        stale = await get(balancer.url)
        assert (stale.headers["x-cache"], stale.body) == ("STALE", b"answer 1")
        await asyncio.sleep(0.5)
        assert (await get(balancer.url)).headers["x-cache"] == "HIT"
        assert [each.get("if-none-match") for each in stub.asked] == [None, KEPT["etag"]]


async def test_who_has_the_answer_is_told_so_by_the_edge(tmp_path: Path) -> None:
    async with before(tmp_path, kept) as (balancer, [stub]):
        await get(balancer.url)
        answer = await get(balancer.url, if_none_match=KEPT["etag"])
        assert (answer.status, answer.body) == (304, b"")
        assert len(stub.asked) == 1


async def test_what_many_miss_at_once_is_fetched_once(tmp_path: Path) -> None:
    async with before(tmp_path, kept) as (balancer, [stub]):
        answers = await asyncio.gather(*(get(balancer.url) for _ in range(20)))
        assert {each.body for each in answers} == {b"answer 1"}
        assert len(stub.asked) == 1


@pytest.mark.parametrize("header", [{"authorization": "Bearer x"}, {"pricebook_min_version": "7"}])
async def test_who_says_who_they_are_or_what_they_want_to_see_asks_the_servers(
    tmp_path: Path, header: dict[str, str]
) -> None:
    async with before(tmp_path, kept) as (balancer, [stub]):
        await get(balancer.url)
        answer = await get(balancer.url, **header)
        assert (answer.headers["x-cache"], answer.body) == ("BYPASS", b"answer 2")
        assert (await get(balancer.url)).body == b"answer 1", "what was kept before"
        assert len(stub.asked) == 2


async def test_another_media_type_is_another_answer(tmp_path: Path) -> None:
    async with before(tmp_path, kept) as (balancer, [stub]):
        for accept in ("application/json", "application/graphql-response+json"):
            assert (await get(balancer.url, accept=accept)).headers["x-cache"] == "MISS"
        assert len(stub.asked) == 2


async def test_what_may_not_be_kept_is_not(tmp_path: Path) -> None:
    async with before(tmp_path, fine) as (balancer, [stub]):
        assert [(await get(balancer.url)).headers["x-cache"] for _ in range(2)] == ["MISS", "MISS"]
        await post(balancer.url)
        await post(balancer.url)
        assert len(stub.asked) == 4


async def test_a_query_that_is_not_answered_is_asked_of_another_server(tmp_path: Path) -> None:
    async with before(tmp_path, nothing, fine) as (balancer, stubs):
        for number in range(6):
            assert (await get(balancer.url, f"/graphql?query={number}")).status == 200
        assert stubs[0].asked


async def test_what_was_sent_and_may_have_been_done_is_not_repeated(tmp_path: Path) -> None:
    async with before(tmp_path, nothing, nothing) as (balancer, stubs):
        answer = await post(balancer.url)
        assert answer.status == 503
        assert answer.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
        assert answer.headers["retry-after"] == "1"
        assert sum(len(stub.asked) for stub in stubs) == 1


async def test_what_could_not_be_sent_is_sent_to_another_server(tmp_path: Path) -> None:
    async with before(tmp_path, fine) as (balancer, [stub]):
        await asyncio.to_thread(balancer.switch_to, [f"http://127.0.0.1:{free_port()}", stub.url])
        assert [(await post(balancer.url)).status for _ in range(6)] == [200] * 6


async def test_a_server_that_does_not_answer_is_left_alone_for_a_second(tmp_path: Path) -> None:
    async with before(tmp_path, nothing, fine) as (balancer, stubs):
        for number in range(30):
            await get(balancer.url, f"/graphql?query={number}")
        assert len(stubs[0].asked) < 10


async def test_requests_have_an_id_and_tell_where_they_come_from(tmp_path: Path) -> None:
    async with before(tmp_path, fine) as (balancer, [stub]):
        given = await get(balancer.url, x_request_id="mine")
        made = await get(balancer.url)
        assert given.headers["x-request-id"] == "mine" == stub.asked[0]["x-request-id"]
        assert made.headers["x-request-id"] == stub.asked[1]["x-request-id"] != "of the server"
        assert stub.asked[0]["x-forwarded-for"] == "127.0.0.1"


async def test_an_address_that_asks_too_often_is_told_to_wait(tmp_path: Path) -> None:
    async with before(tmp_path, fine, ratePerSecond=1, burst=2) as (balancer, [stub]):
        answers = [await get(balancer.url) for _ in range(5)]
        assert [each.status for each in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json()["errors"][0]["extensions"] == {"code": "RATE_LIMITED"}
        assert answers[-1].headers["retry-after"] == "1"
        assert len(stub.asked) == 3


async def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    small = {"maxBodyBytes": "1KiB"}
    async with (
        before(tmp_path, fine, settings=small) as (balancer, [stub]),
        Connection(balancer.url) as connection,
    ):
        answer = await connection.post({"query": "x" * 2000})
        assert answer.status == 413
        assert answer.json()["errors"][0]["message"] == "A body has at most 1KiB, one with a file 4GiB."
        assert answer.json()["errors"][0]["extensions"] == {"code": "BODY_TOO_LARGE"}
        assert stub.asked == []


async def test_it_says_itself_that_it_lives(tmp_path: Path) -> None:
    async with before(tmp_path, nothing) as (balancer, [stub]):
        assert (await get(balancer.url, "/healthz")).status == 200
        assert (await get(balancer.url, "/readyz")).status == 503
        assert (await get(balancer.url, "/other")).status == 404
        assert len(stub.asked) == 1


async def test_what_may_not_be_kept_is_not_waited_for_one_by_one(tmp_path: Path) -> None:
    for age in (0, 1):
        folder = tmp_path / str(age)
        async with before(folder, slow, settings={"cacheMaxAge": age}) as (balancer, [stub]):
            async with asyncio.timeout(2):
                await asyncio.gather(*(get(balancer.url) for _ in range(20)))
            assert len(stub.asked) == 20


async def test_a_query_in_a_long_address_comes_through(tmp_path: Path) -> None:
    async with before(tmp_path, fine) as (balancer, [stub]):
        target = f"/graphql?query={'x' * 16_000}"
        assert (await get(balancer.url, target)).status == 200
        assert stub.asked[0]["request"] == f"GET {target} HTTP/1.1"


@asynccontextmanager
async def served(
    folder: Path, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], request: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection through the edge on which the request was sent, to a server that does as it is told."""
    port = free_port()
    async with asyncio.timeout(20), await asyncio.start_server(serve, "127.0.0.1", port):
        small = {"maxBodyBytes": "1KiB"}
        with edge(folder, [f"http://127.0.0.1:{port}"], small) as balancer:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(balancer.url.rpartition(":")[2]))
            writer.write(request.encode())
            yield reader, writer
            writer.close()


async def test_a_file_is_passed_on_while_it_arrives(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"POST /graphql?of=1 " in head
        assert await reader.readexactly(5) == b"first"
        arrived.set()
        assert await reader.readexactly(5000) == 1000 * b"later"
        writer.write(http("taken"))
        writer.close()

    headers = "host: x\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 5005\r\n\r\n"
    async with served(tmp_path, serve, f"POST /graphql?of=1 HTTP/1.1\r\n{headers}first") as (reader, writer):
        await arrived.wait()
        writer.write(1000 * b"later")
        assert b"200 OK" in await reader.readuntil(b"taken")


async def test_events_are_passed_on_as_they_come(tmp_path: Path) -> None:
    seen = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: next\n\n")
        await seen.wait()
        writer.write(b"event: complete\n\n")
        writer.close()

    request = "GET /graphql?query=s HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n"
    async with served(tmp_path, serve, request) as (reader, _):
        await reader.readuntil(b"event: next\n\n")
        seen.set()
        await reader.readuntil(b"event: complete\n\n")


async def test_a_websocket_is_passed_through_in_both_directions(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b"upgrade: websocket\r\n" in head
        assert b"connection: upgrade\r\n" in head
        assert b"sec-websocket-protocol: graphql-transport-ws\r\n" in head
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        writer.write(b"to " + await reader.readexactly(4))
        writer.close()

    headers = "host: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-protocol: graphql-transport-ws"
    async with served(tmp_path, serve, f"GET /graphql HTTP/1.1\r\n{headers}\r\n\r\n") as (reader, writer):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(b"them")
        assert await reader.readexactly(7) == b"to them"
