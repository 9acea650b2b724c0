"""Two servers on one database: each sees versions that the other publishes, and a batch is published once."""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from tests.acceptance.command import OPEN
from tests.graph.api import ROLLBACK, Client, row
from tests.waiting import until

ROOT = Path(__file__).parents[2]

PUSH_TIMEOUT_SECONDS = 1.0
"""A change stream pushes a pointer within milliseconds; polling would take longer than this."""


@contextmanager
def server(uri: str, database: str, log: Path, **environ: str) -> Iterator[str]:
    """Run a server on a free port and yield its URL. It may not be ready yet."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PRICEBOOK_")}
    with socket.socket() as listener, log.open("wb") as output:
        listener.bind(("127.0.0.1", 0))
        fd = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "graph.app:app_from_environment", "--factory", "--fd", str(fd)],
            cwd=ROOT,
            env={**inherited, **OPEN, "PRICEBOOK_MONGODB_URI": uri, "PRICEBOOK_MONGODB_DATABASE": database, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[fd],
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def urls(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two servers on a database of this module."""
    logs, database = tmp_path_factory.mktemp("servers"), f"test_{secrets.token_hex(6)}"
    with ExitStack() as stack:
        yield [stack.enter_context(server(mongodb_uri, database, logs / f"{name}.log")) for name in "ab"]
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database)


@pytest.fixture
async def servers(urls: list[str]) -> AsyncIterator[list[Client]]:
    """A client of each server; both servers are ready."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60, trust_env=False))
            for url in urls
        ]
        for http in clients:
            await until(partial(is_ready, http), "ready")
        yield [Client(http) for http in clients]


async def is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except httpx.TransportError:
        return False


async def current_version(client: Client, price_list: str) -> int | None:
    document = "query ($l: ID!) { snapshot(priceList: $l) { version } }"
    snapshot: dict[str, int] | None = (await client.data(document, l=price_list))["snapshot"]
    return snapshot["version"] if snapshot else None


async def sees(client: Client, price_list: str, version: int) -> None:
    """Wait until a version is current on a server."""

    async def seen() -> bool:
        return await current_version(client, price_list) == version

    await until(seen, f"at version {version}", seconds=PUSH_TIMEOUT_SECONDS)


async def test_each_server_sees_publishes_and_rollbacks_of_the_other(servers: list[Client]) -> None:
    first, second = servers
    await first.create("moves")
    await first.publish("moves", [row("a", "1.00")])
    await sees(second, "moves", 1)
    await second.publish("moves", [row("a", "2.00")])
    await sees(first, "moves", 2)
    order = {"priceList": "moves", "toVersion": 1, "reason": "wrong prices"}
    assert not (await first.data(ROLLBACK, input=order))["rollback"]["userErrors"]
    await sees(second, "moves", 1)
    assert await second.amounts("moves") == {"a": "1.00"}
    held = await second.submit("moves", [row("a", "3.00")])
    assert held["batch"]["state"] == "HELD"
    assert await current_version(first, "moves") == 1


async def test_pages_from_both_servers_keep_their_version_while_others_are_published(servers: list[Client]) -> None:
    first, second = servers
    await first.create("walk")
    await first.publish("walk", [row(f"{i:02}", "1.00") for i in range(20)])
    await sees(second, "walk", 1)
    document = """query ($after: String) { snapshot(priceList: "walk") {
      version prices(first: 3, after: $after) { nodes { sku amount } pageInfo { hasNextPage endCursor } }
    } }"""
    walked, after, step, more = [], None, 0, True
    while more:
        reader, writer = servers[step % 2], servers[1 - step % 2]
        snapshot = (await reader.data(document, after=after))["snapshot"]
        assert snapshot["version"] == 1
        walked += [(price["sku"], price["amount"]) for price in snapshot["prices"]["nodes"]]
        more, after = snapshot["prices"]["pageInfo"]["hasNextPage"], snapshot["prices"]["pageInfo"]["endCursor"]
        step += 1
        version = await writer.publish("walk", [row(f"{i:02}", f"{step + 1}.00") for i in range(step, 20 + step)])
        await sees(servers[step % 2], "walk", version)
    assert walked == [(f"{i:02}", "1.00") for i in range(20)]
    assert await current_version(first, "walk") == 1 + step


async def test_of_batches_that_expect_the_same_version_one_is_published(servers: list[Client]) -> None:
    await servers[0].create("race")
    await servers[0].publish("race", [row("a", "0.00")])
    for version in range(1, 4):
        amounts = [f"{version}.{i:02}" for i in range(8)]
        payloads = await asyncio.gather(
            *(
                servers[i % 2].submit("race", [row("a", amount)], expectedVersion=version)
                for i, amount in enumerate(amounts)
            )
        )
        won = [i for i, payload in enumerate(payloads) if not payload["userErrors"]]
        lost = [payload["userErrors"][0]["code"] for payload in payloads if payload["userErrors"]]
        assert len(won) == 1
        assert lost == ["CONFLICT"] * 7
        assert payloads[won[0]]["batch"]["version"] == version + 1
        for server_ in servers:
            await sees(server_, "race", version + 1)
            assert await server_.amounts("race") == {"a": amounts[won[0]]}


async def test_batches_that_expect_no_version_are_all_published(servers: list[Client]) -> None:
    await servers[0].create("queue")
    versions = await asyncio.gather(*(servers[i % 2].publish("queue", [row("a", f"{i}.00")]) for i in range(10)))
    assert sorted(versions) == list(range(1, 11))
    for server_ in servers:
        await sees(server_, "queue", 10)


async def test_concurrent_batches_with_the_same_key_make_one_version(servers: list[Client]) -> None:
    await servers[0].create("once")
    prices = [row(f"{i}") for i in range(2000)]
    payloads = await asyncio.gather(*(servers[i % 2].submit("once", prices, "the same") for i in range(20)))
    assert payloads == [payloads[0]] * 20
    assert payloads[0]["batch"]["state"] == "PUBLISHED"
    snapshots = await servers[0].data(
        """{ priceList(name: "once") { snapshots { nodes { version size } } events { nodes { kind } } }
                 batches(priceList: "once") { totalCount } }"""
    )
    assert snapshots == {
        "priceList": {
            "snapshots": {"nodes": [{"version": 1, "size": 2000}]},
            "events": {"nodes": [{"kind": "PUBLISHED"}, {"kind": "CREATED"}]},
        },
        "batches": {"totalCount": 1},
    }
