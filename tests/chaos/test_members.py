"""Members of the replica set fail under load: reads continue, writes recover, and nothing is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import main
from tests.acceptance.command import OPEN
from tests.chaos.test_deploys import CLIENTS
from tests.stack.connections import Connection
from tests.stack.edge import Edge, edge
from tests.stack.load import (
    READ,
    SKUS,
    BatchResults,
    ReadResults,
    batch,
    create,
    publish,
    publishing,
    reading,
    versions,
)
from tests.stack.members import Members, members
from tests.stack.servers import servers
from tests.waiting import until

pytestmark = pytest.mark.chaos

WRITE_RECOVERY_SECONDS = 15
"""A batch must be published within this time after a fault."""

PROBE_LIST = "probed"
"""The list to which a batch is sent after each fault."""


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[Members]:
    """A replica set of three members."""
    folder = tmp_path / "members"
    folder.mkdir()
    with members(folder, 3) as running:
        yield running


@pytest.fixture
def environ(replica_set: Members) -> dict[str, str]:
    return {
        **OPEN,
        "PRICEBOOK_MONGODB_URI": replica_set.uri,
        "PRICEBOOK_MONGODB_DATABASE": "chaos",
        "PRICEBOOK_CACHE_MAX_AGE": "1",
        "PRICEBOOK_CACHE_STALE_WHILE_REVALIDATE": "5",
    }


@pytest.fixture
async def balancer(tmp_path: Path, environ: dict[str, str]) -> AsyncIterator[Edge]:
    """The edge of two servers, with the list and its first version."""
    with (
        servers(tmp_path / "servers", 2, environ) as started,
        edge(tmp_path / "edge", [each.url for each in started], ratePerSecond=0) as running,
    ):
        await create(running.url)
        await create(running.url, PROBE_LIST)
        yield running


class Faults:
    """Injects faults, and checks that reads continue and that a batch is published in time."""

    def __init__(self, url: str, reads: ReadResults) -> None:
        self._url = url
        self._reads = reads
        self._batches = BatchResults()

    async def inject(self, name: str, fault: Callable[[], None]) -> None:
        responses, started = self._reads.responses, time.monotonic()
        await asyncio.to_thread(fault)
        async with Connection(self._url, resends=True) as connection:
            await publish(connection, len(self._batches.published) + 2, self._batches, PROBE_LIST)
        seconds = time.monotonic() - started
        print(f"{name}: a batch published after {seconds:.1f} s, {self._reads.responses - responses} responses")
        assert seconds < WRITE_RECOVERY_SECONDS
        assert self._reads.responses > responses


async def test_reads_continue_and_nothing_is_lost(
    balancer: Edge, replica_set: Members, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(balancer.url, CLIENTS) as reads, publishing(balancer.url, 2) as batches:
        faults = Faults(balancer.url, reads)
        primary = await asyncio.to_thread(replica_set.primary)
        await faults.inject("primary killed", primary.kill)
        primary.restart()
        secondary = await asyncio.to_thread(replica_set.secondary)
        await faults.inject("secondary killed", secondary.kill)
        secondary.restart()
        primary = await asyncio.to_thread(replica_set.primary)
        await faults.inject("primary isolated", primary.isolate)
        await faults.inject("primary reconnected", primary.reconnect)
        published = len(batches.published)
        await until(lambda: batches.has(published + 2), "published")
    print(
        f"{reads.responses} responses, slowest {reads.slowest:.1f} s; {len(reads.failures)} failed {reads.failures[:5]}"
    )
    print(f"{len(batches.published)} batches, longest {batches.longest:.1f} s; {batches.failures[:5]}")
    assert reads.failures == []
    kept = {each["label"]: each["version"] for each in await versions(balancer.url)}
    assert batches.published.items() <= kept.items(), "every acknowledged batch is stored"
    assert len(set(kept.values())) == len(kept) == len(batches.published) + 1, "no batch is duplicated"
    assert reads.labels.items() <= kept.items(), "every version that was read is stored"
    await check(environ, monkeypatch)


async def test_without_a_majority_requests_fail_and_a_batch_is_published_afterwards(
    balancer: Edge, replica_set: Members, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [await asyncio.to_thread(replica_set.primary), await asyncio.to_thread(replica_set.secondary)]
    async with asyncio.timeout(300), Connection(balancer.url, resends=True) as connection:
        query = {"query": READ, "variables": {"skus": SKUS[:1]}}
        first = await connection.post(query)
        for member in lost:
            member.kill()
        started = time.monotonic()
        refused = await connection.post(batch(2))
        print(f"refused after {time.monotonic() - started:.1f} s: {refused.body!r}")
        assert b"UNAVAILABLE" in refused.body
        # A server that lost its pointer stream reads the pointer, and fails if no member responds.
        response = await connection.post(query)
        assert b"UNAVAILABLE" in response.body or response.json() == first.json()
        for member in lost:
            member.restart()
        batches = BatchResults()
        await publish(connection, 2, batches)

        async def is_visible() -> bool:
            return (await connection.post(query)).body != first.body

        await until(is_visible, "visible to readers")
    assert batches.published == {"2": 2}
    await check(environ, monkeypatch)


async def check(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that `pricebook check` has no findings."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    result = await asyncio.to_thread(CliRunner().invoke, main, ["check"])
    assert result.exit_code == 0, result.output
