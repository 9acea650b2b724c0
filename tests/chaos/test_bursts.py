"""A burst out of nothing: no server error; afterwards latency is as it was, and memory after the next version."""

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
from tests.stack.load import PublishLog, ReadLog, create, publish, reading
from tests.stack.servers import Server, servers
from tests.waiting import until

pytestmark = pytest.mark.chaos

CLIENTS = 200
ANSWERS = int(os.environ.get("PRICEBOOK_TEST_CHAOS_ANSWERS", "2000"))
OTHERS = ("first", "second", "third")

WORKED = 6000
"""After so many answers the caches of a server are full: each has room for a thousand documents."""

GROWTH = 1.10
"""By so much a server may be larger after the burst, and a version more, than before it."""

SLOWER = 2.0
"""And by so much may the median of what a single client waits for be longer: what is left of a burst is far more."""


@pytest.fixture
def burst(tmp_path: Path, mongodb_uri: str, database: str) -> Iterator[list[Server]]:
    environ = {
        **OPEN,
        "PRICEBOOK_MONGODB_URI": mongodb_uri,
        "PRICEBOOK_MONGODB_DATABASE": database,
        "PRICEBOOK_CACHE_BYTES": "4MiB",
        "PRICEBOOK_RESPONSE_CACHE_BYTES": "1MiB",
    }
    with servers(tmp_path / "servers", 2, environ) as started:
        yield started


async def test_no_server_error_and_all_is_as_it_was_afterwards(tmp_path: Path, burst: list[Server]) -> None:
    with edge(tmp_path / "edge", [each.url for each in burst], ratePerSecond=0) as balancer:
        for name in ("shop", *OTHERS):
            await create(balancer.url, name)
        # As a server is that has worked for a while: its caches are filled, its code is loaded.
        await under(balancer.url, 8, WORKED, 2)
        await one_more_version(balancer.url, 3)
        idle, before = await latency(balancer.url), resident(burst)
        begun = time.monotonic()
        reads = await under(balancer.url, CLIENTS, ANSWERS, 4)
        print(f"{reads.answers} answers, the slowest {reads.slowest:.1f} s, in {time.monotonic() - begun:.0f} s")
        at_once = resident(burst)
        await one_more_version(balancer.url, 5)
        recovered, after = await latency(balancer.url), resident(burst)
    print(f"median idle {idle * 1000:.1f} ms, after the burst {recovered * 1000:.1f} ms")
    print(f"resident {mib(before)} MiB before, {mib(at_once)} at its end, {mib(after)} after the next version")
    assert recovered <= idle * SLOWER
    for small, large in zip(before, after, strict=True):
        assert large <= small * GROWTH


async def under(url: str, clients: int, answers: int, number: int) -> ReadLog:
    """So many clients at once, and three batches with them, for so many answers and until the batches are published."""
    batches = [PublishLog() for _ in OTHERS]

    async def send(name: str, told: PublishLog) -> None:
        async with Connection(url, resends=True) as connection:
            await publish(connection, number, told, name)

    async with reading(url, clients) as reads:
        await asyncio.gather(*(send(name, told) for name, told in zip(OTHERS, batches, strict=True)))
        print(f"{clients} clients: batches took {[round(told.longest, 1) for told in batches]} s")
        await until(lambda: reads.has(answers), "answered", seconds=300)
    assert reads.failures == []
    assert [told.failures for told in batches] == [[], [], []]
    return reads


async def one_more_version(url: str, number: int) -> None:
    """The next version of each list, read by somebody."""
    async with Connection(url, resends=True) as connection:
        for name in ("shop", *OTHERS):
            await publish(connection, number, PublishLog(), name)
    async with reading(url, 2) as reads:
        await until(lambda: reads.has(200), "answered")


async def latency(url: str) -> float:
    """The median of what one client waits for, in seconds."""
    took = []
    async with Connection(url, resends=True) as connection:
        for number in range(200):
            begun = time.perf_counter()
            await connection.post(
                {"query": f'{{ snapshot(priceList: "shop") {{ price(sku: "sku-{number:05}") {{ amount }} }} }}'}
            )
            took.append(time.perf_counter() - begun)
    return statistics.median(took)


def resident(burst: list[Server]) -> list[int]:
    return [each.resident_bytes for each in burst]


def mib(sizes: list[int]) -> list[int]:
    return [size >> 20 for size in sizes]
