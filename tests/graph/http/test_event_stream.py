"""Server-sent events: their form, the choice between them and JSON, credentials, and disconnects."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Scope

from graph.identity import authenticator
from graph.limits.bodies import BodyBudget
from graph.limits.slots import MAX_SUBSCRIPTIONS_PER_CALLER
from tests.graph.api import Api, row
from tests.graph.transports import parse_events

QUERY = '{ snapshot(priceList: "shop") { price(sku: "a") { amount } } }'
UPLOAD = "mutation ($i: PublishBatchInput!) { publishBatch(input: $i) { batch { id } } }"
PUBLISHED = 'subscription { published(priceList: "shop") { version } }'
URQL = "application/graphql-response+json, application/graphql+json, application/json, text/event-stream"


@pytest.fixture
async def shop(api: Api) -> Api:
    """An application with the list `shop`, which has a price."""
    await api.create("shop")
    await api.publish("shop", [row("a")])
    return api


class Stream:
    """The response to a subscription, as it arrives."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.disconnected = asyncio.Event()

    async def start(self) -> Message:
        return await self.messages.get()

    async def body(self) -> bytes:
        message = await self.messages.get()
        return bytes(message["body"])

    async def event(self) -> bytes:
        """Return the next body that is not a comment."""
        while (body := await self.body()) == b":\n\n":
            pass
        return body


@asynccontextmanager
async def subscribed(app: ASGIApp, query: str = PUBLISHED, padding: str = "", **headers: str) -> AsyncIterator[Stream]:
    """Yield the event stream of a subscription; disconnect at the end, and wait until it is over."""
    stream, body = Stream(), json.dumps({"query": query}).encode() + padding.encode()
    requests: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await stream.disconnected.wait()
        return {"type": "http.disconnect"}

    all_headers = {"accept": "text/event-stream", "content-type": "application/json", "host": "localhost", **headers}
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
    }
    serving = asyncio.ensure_future(app(scope, receive, stream.messages.put))
    try:
        yield stream
    finally:
        stream.disconnected.set()
        await serving


async def post(api: Api, accept: str, query: str = QUERY) -> httpx.Response:
    return await api.http.post("/graphql", json={"query": query}, headers={"accept": accept})


async def test_a_query_gets_one_event(shop: Api) -> None:
    response = await post(shop, "text/event-stream")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["vary"] == "Accept, Authorization, Pricebook-Preview"
    assert response.headers["x-request-id"]
    assert parse_events(response.text) == [{"data": {"snapshot": {"price": {"amount": "1.00"}}}}]
    assert "\r" not in response.text


async def test_a_query_by_get_gets_one_event(shop: Api) -> None:
    response = await shop.http.get("/graphql", params={"query": QUERY}, headers={"accept": "text/event-stream"})
    assert parse_events(response.text) == [{"data": {"snapshot": {"price": {"amount": "1.00"}}}}]


async def test_a_query_gets_json_if_the_client_accepts_both(shop: Api) -> None:
    for accept in (URQL, "text/event-stream, */*", 'application/json;p="text/event-stream"'):
        response = await post(shop, accept)
        assert response.json() == {"data": {"snapshot": {"price": {"amount": "1.00"}}}}
    refused = await post(
        shop, 'application/json;p="text/event-stream"', "query A { __typename } query B { __typename }"
    )
    assert refused.json()["errors"][0]["extensions"]["code"] == "OPERATION_NOT_FOUND"
    assert refused.headers["cache-control"] == "no-store"


async def test_a_subscription_gets_events_if_the_client_accepts_both(shop: Api) -> None:
    async with subscribed(shop.app, accept=URQL) as stream:
        assert (await stream.start())["status"] == 200
        assert await stream.body() == b'event: next\ndata: {"data":{"published":{"version":1}}}\n\n'
    response = await post(shop, "application/json", PUBLISHED)
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_refused_request_gets_an_event_with_its_errors(shop: Api) -> None:
    response = await post(shop, "text/event-stream", "{ nope }")
    assert response.status_code == 200
    [result] = parse_events(response.text)
    assert result["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "data" not in result


async def test_a_request_without_a_graphql_request_gets_a_json_error(shop: Api) -> None:
    response = await shop.http.post("/graphql", content=b"{", headers={"accept": "text/event-stream"})
    assert response.status_code in (400, 415)
    assert response.json()["errors"]


async def test_a_silent_stream_gets_comments(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "RECHECK_INTERVAL_SECONDS", 0.01)
    async with subscribed(shop.app) as stream:
        await stream.start()
        received = [await stream.body() for _ in range(4)]
        assert received.count(b":\n\n") == 3


async def test_a_client_that_disconnects_ends_its_subscription(shop: Api) -> None:
    async with subscribed(shop.app) as stream:
        await stream.start()
        await stream.body()
        assert len(shop.runtime.requests.in_flight) == 1
    assert not shop.runtime.requests.in_flight


async def test_draining_ends_a_subscription_without_completing_it(shop: Api) -> None:
    async with subscribed(shop.app) as stream:
        await stream.start()
        await stream.body()
        shop.runtime.drain.begin()
        await shop.publish("shop", [row("a", "2.00")])
        assert b'"version":2' in await stream.body()
        shop.runtime.drain.end_subscriptions()
        end = await stream.messages.get()
        assert (end["body"], end.get("more_body", False)) == (b"", False)
    assert not shop.runtime.requests.in_flight


async def test_draining_does_not_interrupt_other_operations(shop: Api) -> None:
    shop.runtime.drain.end_subscriptions()
    response = await post(shop, "text/event-stream", QUERY)
    assert response.text.endswith("event: complete\ndata: \n\n")


async def test_lines_end_with_a_line_feed_alone(shop: Api) -> None:
    response = await post(shop, "text/event-stream", QUERY)
    assert "\r" not in response.text


async def test_a_revoked_key_ends_the_stream(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "API_KEY_CACHE_SECONDS", 0.0)
    monkeypatch.setattr(authenticator, "RECHECK_INTERVAL_SECONDS", 0.05)
    made, key = await shop.runtime.store.api_keys.create("till-3", ["prices:read"], "ops")
    async with subscribed(shop.app, authorization=f"Bearer {key}") as stream:
        await stream.start()
        assert b'"version":1' in await stream.body()
        await shop.runtime.store.api_keys.revoke(made.id)
        while (event := await stream.body()) == b":\n\n":
            pass
        assert b"UNAUTHENTICATED" in event
        assert await stream.body() == b"event: complete\ndata: \n\n"


async def test_an_event_after_the_revocation_is_not_sent(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "API_KEY_CACHE_SECONDS", 0.0)
    made, key = await shop.runtime.store.api_keys.create("till-3", ["prices:read"], "ops")
    async with subscribed(shop.app, authorization=f"Bearer {key}") as stream:
        await stream.start()
        await stream.body()
        await shop.runtime.store.api_keys.revoke(made.id)
        await shop.publish("shop", [row("a", "2.00")])
        event = await stream.body()
        assert b"UNAUTHENTICATED" in event
        assert b"version" not in event


async def test_a_slot_is_taken_after_the_body_was_received(shop: Api) -> None:
    """Unfinished requests for subscriptions do not count as subscriptions."""
    unfinished: list[asyncio.Future[None]] = []

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def discard(_: Message) -> None:
        pass

    headers = [(b"accept", b"text/event-stream"), (b"content-type", b"application/json"), (b"host", b"localhost")]
    for _ in range(MAX_SUBSCRIPTIONS_PER_CALLER + 1):
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/graphql",
            "query_string": b"",
            "client": ("127.0.0.1", 1),
            "headers": headers,
        }
        unfinished.append(asyncio.ensure_future(shop.app(scope, never, discard)))
    await asyncio.sleep(0)
    try:
        async with subscribed(shop.app) as stream:
            assert (await stream.start())["status"] == 200
    finally:
        for task in unfinished:
            task.cancel()
        await asyncio.wait(unfinished)


async def test_subscriptions_of_anonymous_callers_are_limited_by_address(shop: Api) -> None:
    streams: list[Any] = []
    try:
        for _ in range(MAX_SUBSCRIPTIONS_PER_CALLER):
            streams.append(subscribed(shop.app, **{"x-forwarded-for": "192.0.2.1"}))
            await (await streams[-1].__aenter__()).start()
        async with subscribed(shop.app, **{"x-forwarded-for": "192.0.2.1"}) as refused:
            assert (await refused.start())["status"] == 429
            assert b"TOO_MANY_SUBSCRIPTIONS" in await refused.body()
        async with subscribed(shop.app, **{"x-forwarded-for": "192.0.2.2"}) as other:
            assert (await other.start())["status"] == 200
    finally:
        for stream in streams:
            await stream.__aexit__(None, None, None)


async def test_an_open_stream_holds_no_memory_for_its_body(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    release, released = BodyBudget.release, list[int]()

    def record(budget: BodyBudget, caller: str, size: int) -> None:
        released.append(size)
        release(budget, caller, size)

    monkeypatch.setattr(BodyBudget, "release", record)
    async with subscribed(shop.app, padding=" " * 100_000) as stream:
        await stream.start()
        assert sum(released) > 100_000


async def test_a_file_cannot_be_sent_for_an_event_stream(shop: Api) -> None:
    order = {"priceList": "shop", "mode": "REPLACE", "idempotencyKey": "k", "file": None}
    response = await shop.http.post(
        "/graphql",
        data={
            "operations": json.dumps({"query": UPLOAD, "variables": {"i": order}}),
            "map": '{"0": ["variables.i.file"]}',
        },
        files={"0": ("p.ndjson", b"x" * 200_000)},
        headers={"accept": "text/event-stream", "graphql-require-preflight": "1"},
    )
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")
