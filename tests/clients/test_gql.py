"""The Python client gql, as the docs use it: requests, uploads, and subscriptions across a restart."""

import asyncio
import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from graphql import parse, print_ast

from storage import Store
from tests.acceptance.command import OPEN
from tests.clients.examples import python
from tests.stack.servers import Server, servers
from tests.storage.factories import published, row
from tests.waiting import DEADLINE_SECONDS

PRICE = """query ($list: ID!) { snapshot(priceList: $list) { version price(sku: "a") { amount } } }"""
CREATE = 'mutation { createPriceList(input: {name: "new"}) { priceList { name } } }'


@pytest.fixture
def server(mongodb_uri: str, live: Store, tmp_path: Path) -> Iterator[Server]:
    environ = {**OPEN, "PRICEBOOK_MONGODB_URI": mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": live.db.name}
    with servers(tmp_path / "server", 1, {**environ, "PRICEBOOK_DRAIN_SECONDS": "1"}) as [running]:
        yield running


def transports(server: Server) -> list[AIOHTTPTransport | WebsocketsTransport]:
    return [
        AIOHTTPTransport(f"{server.url}/graphql"),
        WebsocketsTransport(f"{server.url.replace('http', 'ws')}/graphql"),
    ]


async def test_gql_queries_uploads_and_subscribes_across_a_restart(
    server: Server, store: Store, tmp_path: Path
) -> None:
    for transport in transports(server):
        await check_requests(transport)
    example = python("gql", server.url)
    async with asyncio.timeout(3 * DEADLINE_SECONDS):
        changes = example["changes"]("live")
        assert (await anext(changes))["version"] == 1
        file = tmp_path / "prices.ndjson"
        file.write_text('{"sku": "a", "amount": "2.00", "currency": "EUR"}\n')
        payload = await example["publish"](str(file), "live", "file")
        assert payload == {"batch": {"state": "PUBLISHED", "version": 2}, "userErrors": []}
        assert (await anext(changes))["version"] == 2
        await asyncio.to_thread(server.stop, signal.SIGTERM)
        for amount in ("3.00", "4.00"):
            await published(store, [row("a", amount)], "live")
        await asyncio.to_thread(server.start)
        assert [(await anext(changes))["version"] for _ in range(2)] == [3, 4]
        await changes.aclose()


async def check_requests(transport: AIOHTTPTransport | WebsocketsTransport) -> None:
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        data: dict[str, Any] = await session.execute(GraphQLRequest(PRICE, variable_values={"list": "live"}))
        assert data == {"snapshot": {"version": 1, "price": {"amount": "1.00"}}}
        if isinstance(transport, AIOHTTPTransport):
            data = await session.execute(GraphQLRequest(CREATE))
            assert data == {"createPriceList": {"priceList": {"name": "new"}}}
        hashed = hashlib.sha256(print_ast(parse(PRICE)).encode()).hexdigest()
        extensions = {"persistedQuery": {"version": 1, "sha256Hash": hashed}}
        request = GraphQLRequest(PRICE, variable_values={"list": "live"}, extensions=extensions)
        assert (await session.execute(request))["snapshot"]["version"] == 1
        with pytest.raises(TransportQueryError) as refused:
            await session.execute(GraphQLRequest(PRICE, variable_values={"list": None}))
        assert refused.value.errors is not None
        assert refused.value.errors[0]["extensions"]["code"] == "BAD_REQUEST"
