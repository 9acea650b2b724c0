"""Deploys under load, through the load balancer: rolling restarts, and traffic that moves between colours.

No request fails, no batch is lost or duplicated, and no response mixes two versions.
"""

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.acceptance.command import OPEN
from tests.stack.edge import Edge, edge
from tests.stack.load import BatchResults, ReadResults, create, publishing, reading, versions
from tests.stack.servers import Server, servers
from tests.waiting import until

pytestmark = pytest.mark.chaos

RESPONSES = int(os.environ.get("PRICEBOOK_TEST_CHAOS_RESPONSES", "2000"))
BATCHES = int(os.environ.get("PRICEBOOK_TEST_CHAOS_BATCHES", "4"))
CLIENTS = 8

TIMEOUT_SECONDS = 600


@pytest.fixture
def environ(mongodb_uri: str, database: str) -> dict[str, str]:
    """The settings of all servers."""
    return {
        **OPEN,
        "PRICEBOOK_MONGODB_URI": mongodb_uri,
        "PRICEBOOK_MONGODB_DATABASE": database,
        "PRICEBOOK_DRAIN_SECONDS": "5",
        "PRICEBOOK_CACHE_MAX_AGE": "1",
        "PRICEBOOK_CACHE_STALE_WHILE_REVALIDATE": "5",
    }


@pytest.fixture
def green(tmp_path: Path, environ: dict[str, str]) -> Iterator[list[Server]]:
    with servers(tmp_path / "green", 2, environ) as started:
        yield started


@pytest.fixture
async def balancer(tmp_path: Path, green: list[Server]) -> AsyncIterator[Edge]:
    """The edge of the green servers, with the list and its first version."""
    with edge(tmp_path / "edge", urls(green), ratePerSecond=0) as running:
        await create(running.url)
        yield running


def urls(colour: list[Server]) -> list[str]:
    return [server.url for server in colour]


@asynccontextmanager
async def under_load(url: str) -> AsyncIterator[tuple[ReadResults, BatchResults]]:
    """Run readers and an integrator during the body, and then check all responses that they received."""
    async with asyncio.timeout(TIMEOUT_SECONDS), reading(url, CLIENTS) as reads, publishing(url, 2) as batches:
        yield reads, batches
        await until(lambda: reads.has(RESPONSES), "read", seconds=TIMEOUT_SECONDS)
        await until(lambda: batches.has(BATCHES), "published", seconds=TIMEOUT_SECONDS)
    assert reads.failures == []
    assert batches.failures == []
    kept = await versions(url)
    labels = [each["label"] for each in reversed(kept)]
    assert labels == [str(number) for number in range(1, len(batches.published) + 2)], "no batch is lost or duplicated"
    stored = {each["label"]: each["version"] for each in kept}
    assert batches.published.items() <= stored.items()
    assert reads.labels.items() <= stored.items()


async def test_a_rolling_restart(balancer: Edge, green: list[Server]) -> None:
    async with under_load(balancer.url) as (reads, _):
        for server in green:
            before = reads.responses
            await asyncio.to_thread(server.restart)
            assert reads.responses > before
    assert reads.cached["HIT"] > 0


async def test_switching_to_the_other_colour_and_back(
    tmp_path: Path, balancer: Edge, green: list[Server], environ: dict[str, str]
) -> None:
    with servers(tmp_path / "blue", 2, environ) as blue:
        async with under_load(balancer.url) as (reads, batches):
            for colour in (blue, green):
                await asyncio.to_thread(balancer.switch_to, urls(colour))
                responses, published = reads.responses, len(batches.published)
                await until(functools.partial(reads.has, responses + 200), "read")
                await until(functools.partial(batches.has, published + 1), "published")
