"""Members of the replica set that are killed or cut off, under load: reads go on, writes come back, nothing is lost."""

import asyncio
import json
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
    PublishLog,
    ReadLog,
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

WRITES_BACK_SECONDS = 15
"""After a fault a batch is published within it."""

PROBED = "probed"


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[Members]:
    """Three members."""
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
        await create(running.url, PROBED)
        yield running


class Faults:
    """Makes faults one after the other: reads go on, and a batch that is sent then is published in time."""

    def __init__(self, url: str, reads: ReadLog) -> None:
        self._url = url
        self._reads = reads
        self._batches = PublishLog()

    async def make(self, what: str, fault: Callable[[], None]) -> None:
        answers, begun = self._reads.answers, time.monotonic()
        await asyncio.to_thread(fault)
        async with Connection(self._url, resends=True) as connection:
            await publish(connection, len(self._batches.published) + 2, self._batches, PROBED)
        took = time.monotonic() - begun
        print(f"{what}: a batch published after {took:.1f} s, {self._reads.answers - answers} answers meanwhile")
        assert took < WRITES_BACK_SECONDS
        assert self._reads.answers > answers


async def test_reads_go_on_and_nothing_is_lost(
    balancer: Edge, replica_set: Members, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(balancer.url, CLIENTS) as reads, publishing(balancer.url, 2) as batches:
        faults = Faults(balancer.url, reads)
        primary = await asyncio.to_thread(replica_set.primary)
        await faults.make("the primary killed", primary.kill)
        primary.restart()
        secondary = await asyncio.to_thread(replica_set.secondary)
        await faults.make("a secondary killed", secondary.kill)
        secondary.restart()
        primary = await asyncio.to_thread(replica_set.primary)
        await faults.make("the primary cut off", primary.isolate)
        await faults.make("the primary back", primary.heal)
        seen = len(batches.published)
        await until(lambda: batches.has(seen + 2), "published")
    print(
        f"{reads.answers} answers, slowest {reads.slowest:.1f} s; {len(reads.failures)} failures {reads.failures[:5]}"
    )
    print(f"{len(batches.published)} batches, longest {batches.longest:.1f} s; {batches.failures[:5]}")
    assert reads.failures == []
    kept = {each["label"]: each["version"] for each in await versions(balancer.url)}
    assert batches.published.items() <= kept.items(), "what was acknowledged is there"
    assert len(set(kept.values())) == len(kept) == len(batches.published) + 1, "none twice"
    assert reads.labels.items() <= kept.items(), "nobody was shown what is not there"
    await check(environ, monkeypatch)


async def test_without_a_majority_everybody_is_told_so_and_a_batch_is_published_when_it_is_back(
    balancer: Edge, replica_set: Members, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [await asyncio.to_thread(replica_set.primary), await asyncio.to_thread(replica_set.secondary)]
    async with asyncio.timeout(300), Connection(balancer.url, resends=True) as connection:
        known = {"query": READ % json.dumps(SKUS[0])}
        first = await connection.post(known)
        for member in lost:
            member.kill()
        begun = time.monotonic()
        refused = await connection.post(batch(2))
        print(f"refused after {time.monotonic() - begun:.1f} s: {refused.body!r}")
        assert b"UNAVAILABLE" in refused.body
        # A server that has lost sight of the pointers asks, and says so where nobody answers.
        answer = await connection.post(known)
        assert b"UNAVAILABLE" in answer.body or answer.json() == first.json()
        for member in lost:
            member.restart()
        batches = PublishLog()
        await publish(connection, 2, batches)

        async def shown() -> bool:
            return (await connection.post(known)).body != first.body

        await until(shown, "shown to readers")
    assert batches.published == {"2": 2}
    await check(environ, monkeypatch)


async def check(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`pricebook check` has no finding."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    checked = await asyncio.to_thread(CliRunner().invoke, main, ["check"])
    assert checked.exit_code == 0, checked.output
