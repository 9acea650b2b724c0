"""JavaScript clients: requests, caches across a publication, and subscriptions across a restart."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from storage import Store
from tests.acceptance.command import OPEN
from tests.clients.balancer import balancing
from tests.clients.node import Program, install, running
from tests.graph.api import Client, row
from tests.stack.servers import Server, servers
from tests.storage.factories import published
from tests.waiting import DEADLINE_SECONDS

CLIENTS = ("apollo", "executor_http", "graphql_sse", "graphql_ws", "relay", "urql")
UPLOADING = {"apollo", "executor_http", "relay", "urql"}
BY_GET = {"apollo", "executor_http", "urql"}
"""Clients that send persisted queries by GET, as the docs configure them."""

CACHES = ("apollo", "apollo_merge", "relay", "urql")


def settings(uri: str, database: str, folder: Path) -> dict[str, str]:
    """The settings of a server that trusts the documents of Relay's compiler."""
    return {
        **OPEN,
        "PRICEBOOK_MONGODB_URI": uri,
        "PRICEBOOK_MONGODB_DATABASE": database,
        "PRICEBOOK_TRUSTED_DOCUMENTS": str(folder / "trusted.json"),
        "PRICEBOOK_DRAIN_SECONDS": "1",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed programs."""
    folder = tmp_path_factory.mktemp("clients") / "js"
    install(folder)
    return folder


@pytest.fixture(scope="module")
def server(mongodb_uri: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a database of this module."""
    database = f"test_{secrets.token_hex(6)}"
    with servers(tmp_path_factory.mktemp("server"), 1, settings(mongodb_uri, database, folder)) as [running_server]:
        yield running_server
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database)
        client.drop_database(f"{database}_layers")


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http:
        yield Client(http)


async def output(folder: Path, server: Server, program: str, *arguments: str) -> Any:
    """Return what a program prints."""
    async with asyncio.timeout(DEADLINE_SECONDS), running(folder, server.url, program, *arguments) as process:
        return await process.read()


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_queries_publishes_uploads_and_persists(
    folder: Path, server: Server, api: Client, client: str
) -> None:
    await api.create(client)
    await api.publish(client, [row("a"), row("b")])
    done = await output(folder, server, "requests.js", client, client)
    assert price(done["query"]) == (1, "1.00")
    assert batch(done["mutation"]) == ("PUBLISHED", 2)
    if client in UPLOADING:
        assert batch(done["upload"]) == ("PUBLISHED", 3)
    assert await api.amounts(client) == {"a": "1.00", "b": "2.00"} | ({"c": "3.00"} if client in UPLOADING else {})
    assert price(done["persisted"]) == (3 if client in UPLOADING else 2, "1.00")
    if client in BY_GET:
        last = done["sent"][-1]
        assert last.startswith("GET /graphql?"), last
        assert "persistedQuery" in last
        assert "query=" not in last
    elif client != "relay":
        assert done["persisted"]["unknown"] == "PERSISTED_QUERY_NOT_FOUND"


def price(data: Any) -> tuple[int, str]:
    snapshot = data["snapshot"]
    return snapshot["version"], snapshot["price"]["amount"]


def batch(data: Any) -> tuple[str, int]:
    payload = data["publishBatch"]
    assert payload["userErrors"] == []
    return payload["batch"]["state"], payload["batch"]["version"]


@pytest.mark.parametrize("client", CACHES)
async def test_a_page_never_mixes_versions(folder: Path, server: Server, api: Client, client: str) -> None:
    price_list = f"page-{client.replace('_', '-')}"
    await api.create(price_list)
    await api.publish(price_list, [row("a", "1.00"), row("b", "1.00")])
    done = await output(folder, server, "cache.js", client, price_list)
    assert (done["read"]["version"], done["read"]["price"]["amount"]) == (2, "2.00")
    shown = [(each["version"], amounts(each)) for each in done["shown"]]
    assert shown[0] == (1, ["1.00", "1.00"])
    assert shown[-1] == (2, ["2.00", "2.00"])
    # Relay shows the new version without prices, which nothing has read yet.
    assert set(map(repr, shown)) <= {repr(shown[0]), repr(shown[-1]), repr((2, None))}


def amounts(snapshot: Any) -> list[str] | None:
    prices = snapshot.get("prices")
    return [each["amount"] for each in prices["nodes"]] if prices else None


async def test_pages_of_relay_stay_on_their_version(folder: Path, server: Server, api: Client) -> None:
    await api.create("pages")
    await api.publish("pages", [row(f"{number}", "1.00") for number in range(4)])
    done = await output(folder, server, "relay_pages.js", "pages")
    assert done == {"version": 1, "amounts": ["1.00"] * 4, "hasNext": False}


@asynccontextmanager
async def subscribed(folder: Path, url: str, clients: Sequence[str]) -> AsyncIterator[dict[str, Program]]:
    """Run the clients, each with a subscription that has received version 1."""
    async with asyncio.timeout(3 * DEADLINE_SECONDS), AsyncExitStack() as stack:
        programs = {
            client: await stack.enter_async_context(running(folder, url, "subscribe.js", client, "live"))
            for client in clients
        }
        for program in programs.values():
            assert await next_version(program) == 1
        yield programs


async def test_no_change_is_missed_while_the_server_restarts(
    folder: Path, mongodb_uri: str, live: Store, tmp_path: Path
) -> None:
    with servers(tmp_path / "server", 1, settings(mongodb_uri, live.db.name, folder)) as [restarting]:
        async with subscribed(folder, restarting.url, CLIENTS) as programs:
            await asyncio.to_thread(restarting.stop, signal.SIGTERM)
            await publish_two(live)
            await asyncio.to_thread(restarting.start)
            await check_changes(programs)


async def test_no_change_is_missed_when_another_server_takes_over(
    folder: Path, mongodb_uri: str, live: Store, tmp_path: Path
) -> None:
    with servers(tmp_path / "server", 2, settings(mongodb_uri, live.db.name, folder)) as [first, second]:
        async with (
            balancing(first) as balancer,
            subscribed(folder, balancer.url, ("graphql_ws_default", "graphql_sse", "executor_http")) as programs,
        ):
            balancer.is_open.clear()
            await asyncio.to_thread(first.stop, signal.SIGTERM)
            await publish_two(live)
            balancer.server = second
            balancer.is_open.set()
            await check_changes(programs)


async def publish_two(store: Store) -> None:
    for amount in ("2.00", "3.00"):
        await published(store, [row("a", amount)], "live")


async def check_changes(programs: dict[str, Program]) -> None:
    """Check that each client receives the versions of `publish_two`."""
    for client, program in programs.items():
        for version in (2, 3):
            assert await next_version(program) == version, client


async def next_version(program: Program) -> int:
    version: int = (await program.read())["published"]["version"]
    return version
