"""A sudden burst causes no server errors; latency recovers afterwards, and memory after the next version."""

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.command import OPEN
from tests.stack.connections import Connection
from tests.stack.edge import edge
from tests.stack.load import BatchResults, ReadResults, create, publish, reading
from tests.stack.servers import Server, servers
from tests.waiting import until

pytestmark = pytest.mark.chaos

CLIENTS = 200
RESPONSES = int(os.environ.get("PRICEBOOK_TEST_CHAOS_RESPONSES", "2000"))
OTHERS = ("first", "second", "third")

WARM_UP_RESPONSES = 6000
"""Responses after which the caches of a server are full: each has room for a thousand documents."""

MAX_MEMORY_GROWTH_BYTES = 24 << 20
"""Maximum growth of a server's memory by the burst, one more version later. The allocator keeps some 14 MiB of the
buffers of 200 connections, however many requests they send; a kilobyte lost by each request would be 50 MiB."""

MAX_LATENCY_GROWTH = 2.0
"""Maximum ratio of a single client's median latency after the burst to that before; a backlog exceeds it by far."""

PRICE = 'query ($sku: ID!) { snapshot(priceList: "shop") { price(sku: $sku) { amount } } }'


@pytest.fixture
def two_servers(tmp_path: Path, mongodb_uri: str, database: str) -> Iterator[list[Server]]:
    environ = {
        **OPEN,
        "PRICEBOOK_MONGODB_URI": mongodb_uri,
        "PRICEBOOK_MONGODB_DATABASE": database,
        "PRICEBOOK_CACHE_BYTES": "4MiB",
        "PRICEBOOK_RESPONSE_CACHE_BYTES": "1MiB",
    }
    with servers(tmp_path / "servers", 2, environ) as started:
        yield started


async def test_a_burst_causes_no_server_errors_and_servers_recover(tmp_path: Path, two_servers: list[Server]) -> None:
    with edge(tmp_path / "edge", [each.url for each in two_servers], ratePerSecond=0) as balancer:
        for name in ("shop", *OTHERS):
            await create(balancer.url, name)
        # Warm up: fill the caches, load the code.
        await run_load(balancer.url, 8, WARM_UP_RESPONSES, 2)
        await publish_version(balancer.url, 3)
        idle, before = await latency(balancer.url), resident(two_servers)
        started = time.monotonic()
        reads = await run_load(balancer.url, CLIENTS, RESPONSES, 4)
        print(f"{reads.responses} responses, slowest {reads.slowest:.1f} s, in {time.monotonic() - started:.0f} s")
        at_end = resident(two_servers)
        await publish_version(balancer.url, 5)
        recovered, after = await latency(balancer.url), resident(two_servers)
    print(f"median idle {idle * 1000:.1f} ms, after the burst {recovered * 1000:.1f} ms")
    print(f"resident {mib(before)} MiB before, {mib(at_end)} at its end, {mib(after)} after the next version")
    assert recovered <= idle * MAX_LATENCY_GROWTH
    for size_before, size_after in zip(before, after, strict=True):
        assert size_after <= size_before + MAX_MEMORY_GROWTH_BYTES


async def run_load(url: str, clients: int, responses: int, number: int) -> ReadResults:
    """Read with `clients` clients and publish three batches, until all are published and `responses` received."""
    batches = [BatchResults() for _ in OTHERS]

    async def send(name: str, results: BatchResults) -> None:
        async with Connection(url, resends=True) as connection:
            await publish(connection, number, results, name)

    async with reading(url, clients) as reads:
        await asyncio.gather(*(send(name, results) for name, results in zip(OTHERS, batches, strict=True)))
        print(f"{clients} clients: batches took {[round(each.longest, 1) for each in batches]} s")
        await until(lambda: reads.has(responses), "received", seconds=300)
    assert reads.failures == []
    assert [each.failures for each in batches] == [[], [], []]
    return reads


async def publish_version(url: str, number: int) -> None:
    """Publish the next version of each list, and read it."""
    async with Connection(url, resends=True) as connection:
        for name in ("shop", *OTHERS):
            await publish(connection, number, BatchResults(), name)
    async with reading(url, 2) as reads:
        await until(lambda: reads.has(200), "received")


async def latency(url: str) -> float:
    """Return the median latency of a single client, in seconds."""
    latencies = []
    async with Connection(url, resends=True) as connection:
        for number in range(200):
            started = time.perf_counter()
            await connection.post({"query": PRICE, "variables": {"sku": f"sku-{number:05}"}})
            latencies.append(time.perf_counter() - started)
    return statistics.median(latencies)


def resident(started: list[Server]) -> list[int]:
    return [each.resident_bytes for each in started]


def mib(sizes: list[int]) -> list[int]:
    return [size >> 20 for size in sizes]
