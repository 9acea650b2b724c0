"""Subscriptions to a real server, over server-sent events and WebSockets; and which servers serve a version."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.acceptance.test_two_servers import servers, urls
from tests.graph.api import Client, row
from tests.waiting import DEADLINE_SECONDS, until

__all__ = ["servers", "urls"]

PUBLISHED = 'subscription { published(priceList: "live") { version previousVersion kind summary { added } } }'
PROGRESS = "subscription ($id: ID!) { batchProgress(id: $id) { state progress { stored } } }"


@pytest.fixture
async def live(servers: list[Client]) -> Client:
    """A client of a server that has the list `live`, with a version."""
    client = servers[0]
    await client.data('mutation { createPriceList(input: {name: "live"}) { userErrors { code } } }')
    await client.publish("live", [row("a")])
    return client


async def events(http: httpx.AsyncClient, query: str, **variables: Any) -> AsyncIterator[dict[str, Any]]:
    """The data of each event that a server sends."""
    body = {"query": query, "variables": variables}
    async with http.stream("POST", "/graphql", json=body, headers={"accept": "text/event-stream"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))["data"]


async def test_every_move_of_the_pointer_is_sent_as_an_event(live: Client) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        stream = events(live.http, PUBLISHED)
        first = (await anext(stream))["published"]
        assert (first["kind"], first["summary"]) == ("PUBLISHED", {"added": 1})
        version = await live.publish("live", [row("a"), row("b")])
        second = (await anext(stream))["published"]
        assert (second["version"], second["previousVersion"]) == (version, first["version"])
        assert second["summary"] == {"added": 1}


async def test_a_batch_is_followed_until_it_ends(live: Client) -> None:
    batch = (await live.submit("live", [row("c")]))["batch"]["id"]
    async with asyncio.timeout(DEADLINE_SECONDS):
        progress = [event["batchProgress"] async for event in events(live.http, PROGRESS, id=batch)]
    assert progress == [{"state": "PUBLISHED", "progress": {"stored": 1}}]


async def test_a_websocket_sends_the_same_events(live: Client) -> None:
    url = f"{live.http.base_url}/graphql".replace("http", "ws", 1)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as ws,
    ):
        await ws.send('{"type": "connection_init"}')
        assert json.loads(await ws.recv())["type"] == "connection_ack"
        await ws.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": PUBLISHED}}))
        first = json.loads(await ws.recv())
        assert (first["id"], first["type"]) == ("1", "next")
        version = await live.publish("live", [row("d")])
        second = json.loads(await ws.recv())["payload"]["data"]["published"]
        assert second["version"] == version
        unknown = 'subscription { batchProgress(id: "no such batch") { state } }'
        await ws.send(json.dumps({"id": "2", "type": "subscribe", "payload": {"query": unknown}}))
        error = json.loads(await ws.recv())
        assert error["payload"]["errors"][0]["extensions"]["code"] == "BATCH_NOT_FOUND"


async def test_every_live_process_serves_a_version_in_the_end(live: Client) -> None:
    batch = (await live.submit("live", [row("e")]))["batch"]["id"]

    async def served_by_both() -> bool:
        data = await live.data("query ($id: ID!) { batch(id: $id) { served { by of } } }", id=batch)
        return bool(data["batch"]["served"] == {"by": 2, "of": 2})

    await until(served_by_both, "served by both")
