"""The edge as the chart configures it, in front of stub servers: caching, retries, limits and streaming."""

import asyncio
from pathlib import Path

import pytest

from tests.helm.edge_servers import Headers, Stub, edge_for, edge_to, http_response, sending
from tests.stack.connections import Connection, Response
from tests.stack.edge import free_port

CACHEABLE = {
    "cache-control": "public, max-age=1, stale-while-revalidate=5",
    "etag": '"one"',
    "vary": "Accept, Authorization, Pricebook-Preview",
}


async def respond_uncacheable(stub: Stub, _headers: Headers) -> bytes:
    return http_response(f"{stub.port} {len(stub.requests)}", cache_control="no-store", x_request_id="from the server")


async def respond_cacheable(stub: Stub, headers: Headers) -> bytes:
    await asyncio.sleep(0.02)
    if headers.get("if-none-match") == CACHEABLE["etag"]:
        return http_response("", "304 Not Modified", **CACHEABLE)
    return http_response(f"response {len(stub.requests)}", **CACHEABLE)


async def respond_slowly(_stub: Stub, _headers: Headers) -> bytes:
    await asyncio.sleep(0.2)
    return http_response("slow", cache_control="public, max-age=0, must-revalidate")


async def close_connection(_stub: Stub, _headers: Headers) -> None:
    return None


async def get(url: str, target: str = "/graphql?query=one", **headers: str) -> Response:
    async with Connection(url) as connection:
        return await connection.get(target, **headers)


async def post(url: str) -> Response:
    async with Connection(url) as connection:
        return await connection.post({"query": "{ a }"})


async def test_a_cacheable_response_is_cached_and_revalidated_by_its_etag(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond_cacheable) as (balancer, [stub]):
        first, second = await get(balancer.url), await get(balancer.url)
        assert [each.headers["x-cache"] for each in (first, second)] == ["MISS", "HIT"]
        assert first.body == second.body == b"response 1"
        assert second.headers["etag"] == CACHEABLE["etag"]
        assert second.headers["cache-control"] == CACHEABLE["cache-control"]
        await asyncio.sleep(2.2)
        stale = await get(balancer.url)
        assert (stale.headers["x-cache"], stale.body) == ("STALE", b"response 1")
        await asyncio.sleep(0.5)
        assert (await get(balancer.url)).headers["x-cache"] == "HIT"
        assert [each.get("if-none-match") for each in stub.requests] == [None, CACHEABLE["etag"]]


async def test_the_edge_answers_conditional_requests_from_its_cache(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond_cacheable) as (balancer, [stub]):
        await get(balancer.url)
        response = await get(balancer.url, if_none_match=CACHEABLE["etag"])
        assert (response.status, response.body) == (304, b"")
        assert len(stub.requests) == 1


async def test_concurrent_misses_cause_one_request(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond_cacheable) as (balancer, [stub]):
        responses = await asyncio.gather(*(get(balancer.url) for _ in range(20)))
        assert {each.body for each in responses} == {b"response 1"}
        assert len(stub.requests) == 1


@pytest.mark.parametrize(
    "header", [{"authorization": "Bearer x"}, {"pricebook_min_version": "7"}, {"pricebook_preview": "pbp_x"}]
)
async def test_credentials_minimum_versions_and_preview_tokens_bypass_the_cache(
    tmp_path: Path, header: dict[str, str]
) -> None:
    async with edge_for(tmp_path, respond_cacheable) as (balancer, [stub]):
        await get(balancer.url)
        response = await get(balancer.url, **header)
        assert (response.headers["x-cache"], response.body) == ("BYPASS", b"response 2")
        assert (await get(balancer.url)).body == b"response 1", "the cached response is unchanged"
        assert len(stub.requests) == 2


async def test_responses_are_cached_by_media_type(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond_cacheable) as (balancer, [stub]):
        for accept in ("application/json", "application/graphql-response+json"):
            assert (await get(balancer.url, accept=accept)).headers["x-cache"] == "MISS"
        assert len(stub.requests) == 2


async def test_uncacheable_responses_are_not_cached(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond_uncacheable) as (balancer, [stub]):
        assert [(await get(balancer.url)).headers["x-cache"] for _ in range(2)] == ["MISS", "MISS"]
        await post(balancer.url)
        await post(balancer.url)
        assert len(stub.requests) == 4


async def test_a_query_without_response_is_retried_on_another_server(tmp_path: Path) -> None:
    async with edge_for(tmp_path, close_connection, respond_uncacheable) as (balancer, stubs):
        for number in range(6):
            assert (await get(balancer.url, f"/graphql?query={number}")).status == 200
        assert stubs[0].requests


async def test_a_post_that_may_have_been_executed_is_not_retried(tmp_path: Path) -> None:
    async with edge_for(tmp_path, close_connection, close_connection) as (balancer, stubs):
        response = await post(balancer.url)
        assert response.status == 503
        assert response.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
        assert response.headers["retry-after"] == "1"
        assert sum(len(stub.requests) for stub in stubs) == 1


async def test_a_post_that_could_not_be_sent_is_retried_on_another_server(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond_uncacheable) as (balancer, [stub]):
        await asyncio.to_thread(balancer.switch_to, [f"http://127.0.0.1:{free_port()}", stub.url])
        assert [(await post(balancer.url)).status for _ in range(6)] == [200] * 6


async def test_a_failing_server_gets_no_requests_for_a_second(tmp_path: Path) -> None:
    async with edge_for(tmp_path, close_connection, respond_uncacheable) as (balancer, stubs):
        for number in range(30):
            await get(balancer.url, f"/graphql?query={number}")
        assert len(stubs[0].requests) < 10


async def test_requests_carry_an_id_and_the_client_address(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond_uncacheable) as (balancer, [stub]):
        with_id = await get(balancer.url, x_request_id="mine")
        without_id = await get(balancer.url)
        assert with_id.headers["x-request-id"] == "mine" == stub.requests[0]["x-request-id"]
        assert without_id.headers["x-request-id"] == stub.requests[1]["x-request-id"] != "from the server"
        assert stub.requests[0]["x-forwarded-for"] == "127.0.0.1"


async def test_requests_above_the_rate_limit_of_an_address_are_rejected(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond_uncacheable, ratePerSecond=1, burst=2) as (balancer, [stub]):
        responses = [await get(balancer.url) for _ in range(5)]
        assert [each.status for each in responses] == [200, 200, 200, 429, 429]
        assert responses[-1].json()["errors"][0]["extensions"] == {"code": "RATE_LIMITED"}
        assert responses[-1].headers["retry-after"] == "1"
        assert len(stub.requests) == 3


async def test_a_body_that_is_too_large_is_rejected(tmp_path: Path) -> None:
    small = {"maxBodyBytes": "1KiB"}
    async with (
        edge_for(tmp_path, respond_uncacheable, settings=small) as (balancer, [stub]),
        Connection(balancer.url) as connection,
    ):
        response = await connection.post({"query": "x" * 2000})
        assert response.status == 413
        assert response.json()["errors"][0]["message"] == (
            "The limit of a body is 1KiB, and 4GiB with a file; without an Authorization header it is 1KiB."
        )
        assert response.json()["errors"][0]["extensions"] == {"code": "BODY_TOO_LARGE"}
        assert stub.requests == []


async def test_the_edge_answers_health_checks_itself(tmp_path: Path) -> None:
    async with edge_for(tmp_path, close_connection) as (balancer, [stub]):
        assert (await get(balancer.url, "/healthz")).status == 200
        assert (await get(balancer.url, "/readyz")).status == 503
        assert (await get(balancer.url, "/other")).status == 404
        assert len(stub.requests) == 1


async def test_concurrent_requests_for_an_uncacheable_response_do_not_queue(tmp_path: Path) -> None:
    for age in (0, 1):
        folder = tmp_path / str(age)
        async with edge_for(folder, respond_slowly, settings={"cacheMaxAge": age}) as (balancer, [stub]):
            async with asyncio.timeout(2):
                await asyncio.gather(*(get(balancer.url) for _ in range(20)))
            assert len(stub.requests) == 20


async def test_a_query_in_a_long_url_is_forwarded(tmp_path: Path) -> None:
    async with edge_for(tmp_path, respond_uncacheable) as (balancer, [stub]):
        target = f"/graphql?query={'x' * 16_000}"
        assert (await get(balancer.url, target)).status == 200
        assert stub.requests[0]["request"] == f"GET {target} HTTP/1.1"


async def test_an_upload_is_forwarded_while_it_arrives(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = await reader.readuntil(b"\r\n\r\n")
        assert b"POST /graphql?of=1 " in headers
        assert await reader.readexactly(5) == b"first"
        arrived.set()
        assert await reader.readexactly(5000) == 1000 * b"later"
        writer.write(http_response("accepted"))
        writer.close()

    headers = (
        b"host: x\r\nauthorization: Bearer x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        b"content-length: 5005\r\n\r\n"
    )
    async with (
        edge_to(tmp_path, serve) as balancer,
        sending(balancer, b"POST /graphql?of=1 HTTP/1.1\r\n" + headers + b"first") as (reader, writer),
    ):
        await arrived.wait()
        writer.write(1000 * b"later")
        assert b"200 OK" in await reader.readuntil(b"accepted")


async def test_events_are_forwarded_immediately(tmp_path: Path) -> None:
    received = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: next\n\n")
        await received.wait()
        writer.write(b"event: complete\n\n")
        writer.close()

    request = b"GET /graphql?query=s HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n"
    async with edge_to(tmp_path, serve) as balancer, sending(balancer, request) as (reader, _):
        await reader.readuntil(b"event: next\n\n")
        received.set()
        await reader.readuntil(b"event: complete\n\n")


async def test_a_websocket_is_forwarded_in_both_directions(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b"upgrade: websocket\r\n" in headers
        assert b"connection: upgrade\r\n" in headers
        assert b"sec-websocket-protocol: graphql-transport-ws\r\n" in headers
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        writer.write(b"to " + await reader.readexactly(4))
        writer.close()

    headers = b"host: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-protocol: graphql-transport-ws"
    request = b"GET /graphql HTTP/1.1\r\n" + headers + b"\r\n\r\n"
    async with edge_to(tmp_path, serve) as balancer, sending(balancer, request) as (reader, writer):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(b"them")
        assert await reader.readexactly(7) == b"to them"
