"""Everything at once: senders, operators, readers and faults, and every answer is checked against a model.

`PRICEBOOK_TEST_SOAK_SECONDS` is how long the long test sends, an hour by default; `PRICEBOOK_TEST_SOAK_SEED` repeats
the choices of a run, which prints its seed.
"""

import asyncio
import itertools
import os
import random
import secrets
import traceback
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pymongo import MongoClient

from cli import main
from tests.acceptance.command import OPEN
from tests.soak.client import Client, Record, Refusal
from tests.soak.faults import Faults
from tests.soak.model import ListModel, WrongAnswer, revision_of
from tests.soak.operators import CREATE, Operator
from tests.soak.readers import GRACE_SECONDS, Reader
from tests.soak.samples import Samples
from tests.soak.senders import Load, Sender
from tests.stack.clients import running
from tests.stack.replica_set import BreakableReplicaSet
from tests.stack.servers import Server, servers_with

SECONDS = float(os.environ.get("PRICEBOOK_TEST_SOAK_SECONDS", "3600"))
SEED = int(os.environ.get("PRICEBOOK_TEST_SOAK_SEED", "16"))

END_SECONDS = 900.0
"""How long the batches in progress and the last checks may take."""

KEPT_VERSIONS = 8

EVENTS = """query ($list: ID!, $after: String) {
  priceList(name: $list) {
    events(first: 200, after: $after) {
      nodes { id kind fromVersion toVersion batch { id } } pageInfo { hasNextPage endCursor }
    }
  }
}"""


@dataclass(frozen=True)
class Scale:
    """The size of a run: skus and loads of each list, readers, and the pauses of operators and between faults."""

    seconds: float
    lists: Mapping[str, tuple[int, tuple[Load, ...]]]
    readers: int
    operators: int
    operator_pause: float
    fault_pause: float


SHORT = Scale(
    8.0,
    {"small": (200, (Load(20, 0.2, 0.2), Load(5, 0.1, 0.1))), "medium": (3_000, (Load(500, 0.1, 0.3),))},
    readers=3,
    operators=1,
    operator_pause=0.3,
    fault_pause=3.0,
)
LONG = Scale(
    SECONDS,
    {
        "small": (200, (Load(5, 0.0, 0.2), Load(20, 0.1, 0.5), Load(50, 0.3, 1.0))),
        "medium": (20_000, (Load(50, 0.0, 0.3), Load(2_000, 0.1, 1.0), Load(200, 0.3, 5.0))),
        "large": (100_000, (Load(50, 0.0, 0.5), Load(2_000, 0.05, 3.0), Load(100, 1.0, 20.0))),
    },
    readers=8,
    operators=2,
    operator_pause=1.0,
    fault_pause=25.0,
)


class Soak:
    """A run: its clients, what they received, and what the lists must contain."""

    def __init__(self, scale: Scale, seed: int, started: list[Server], uri: str, database: str) -> None:
        self.record = Record()
        self.samples = Samples()
        self._scale = scale
        self._seed = seed
        self._servers = started
        self._uri = uri
        self._database = database
        self._lists = [ListModel(name, skus) for name, (skus, _) in scale.lists.items()]
        self._clients: list[Client] = []

    async def run(self, members: BreakableReplicaSet | None) -> None:
        """Do everything at once for the time of the scale, and then check every list through every process."""
        stopping, numbers = asyncio.Event(), itertools.count(1)
        faults = Faults(self._servers, members, random.Random(self._seed), self._scale.fault_pause)
        async with AsyncExitStack() as stack:

            async def client() -> Client:
                urls, choices = [server.url for server in self._servers], random.Random(self._seed + len(self._clients))
                self._clients.append(await stack.enter_async_context(Client(urls, choices)))
                return self._clients[-1]

            readers = [Reader(await client(), self._lists, self.record) for _ in range(self._scale.readers)]
            operators = [
                Operator(await client(), self._lists, self.record, self._scale.operator_pause)
                for _ in range(self._scale.operators)
            ]
            senders = [
                Sender(await client(), found, load, numbers, self.record, self._database)
                for found in self._lists
                for load in self._scale.lists[found.name][1]
            ]
            await self._create(await client())
            background = [reader.run() for reader in readers]
            background += [self._follow(await client(), found) for found in self._lists]
            background.append(self.samples.run(self._uri, self._database, self._servers, self._lists))
            async with running(map(self._watched, background)):
                work = [each.run(stopping) for each in senders]
                work += [each.run(stopping) for each in operators]
                work.append(faults.run(stopping))
                async with asyncio.TaskGroup() as group:
                    for each in work:
                        group.create_task(each)
                    await self._until_the_end(stopping)
                await self._check_all(await client())
        print(f"{len(faults.done)} faults: {', '.join(faults.done)}")

    def report(self) -> str:
        """Return what was answered, the samples, and what is under way."""
        lists = [
            f"{each.name}: version {each.current}, revision {each.revision}, {each.blocking}" for each in self._lists
        ]
        waiting = [each.waiting_for for each in self._clients if each.waiting_for]
        return "\n".join([self.record.report(), self.samples.report(), *lists, *waiting])

    async def _watched(self, work: Coroutine[None, None, None]) -> None:
        """Run a client, whose failure ends the run."""
        try:
            await work
        except Exception:
            self.record.fail(traceback.format_exc())

    async def _until_the_end(self, stopping: asyncio.Event) -> None:
        """Stop at the end of the time, or at the first wrong answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._scale.seconds):
                await self.record.has_failed.wait()
        stopping.set()

    async def _create(self, client: Client) -> None:
        for found in self._lists:
            retention = {"versions": KEPT_VERSIONS, "days": 0}
            created = await client.send(CREATE, {"input": {"name": found.name, "retention": retention}})
            assert created["userErrors"] == []

    async def _follow(self, client: Client, found: ListModel) -> None:
        """Apply the events of a list as they happen."""
        while True:
            client.switch()
            try:
                for event in await self._events(client, found):
                    if not found.apply(event):
                        break
            except Refusal as refusal:
                self.record.refuse("read events", refusal)
            except WrongAnswer as wrong:
                self.record.fail(str(wrong))
                return
            await asyncio.sleep(0.3)

    async def _events(self, client: Client, found: ListModel) -> list[Any]:
        """Return the events that the model has not applied, oldest first."""
        events, after = list[Any](), None
        while True:
            page = (await client.send(EVENTS, {"list": found.name, "after": after}))["events"]
            events += [event for event in page["nodes"] if revision_of(event) > found.revision]
            after = page["pageInfo"]["endCursor"]
            if not page["nodes"] or revision_of(page["nodes"][-1]) <= found.revision + 1:
                return events[::-1]

    async def _check_all(self, client: Client) -> None:
        """Compare the current version of every list, read through every process, with the model."""
        if self.record.wrong:
            return
        reader = Reader(client, self._lists, self.record)
        for found in self._lists:
            revision = max((revision_of(event) for event in await self._events(client, found)), default=0)
            await found.reached(max(revision, found.revision))
            for client.server in range(len(self._servers)):
                await reader.walk(found)
        for name, batch, version in self.record.acknowledged:
            [found] = [each for each in self._lists if each.name == name]
            if found.published.get(batch) != version:
                self.record.fail(
                    f"{name}: batch {batch} was acknowledged as {version}, not {found.published.get(batch)}"
                )


@contextmanager
def new_database(uri: str) -> Iterator[str]:
    """The name of a new database, which is dropped after the context."""
    database = f"test_{secrets.token_hex(6)}"
    try:
        yield database
    finally:
        with MongoClient[dict[str, Any]](uri) as client:
            client.drop_database(database)
            client.drop_database(f"{database}_layers")


def environs(uri: str, database: str) -> list[dict[str, str]]:
    """The settings of three servers: the defaults; reads on secondaries; and next to no cache."""
    common = {
        **OPEN,
        "PRICEBOOK_MONGODB_URI": uri,
        "PRICEBOOK_MONGODB_DATABASE": database,
        "PRICEBOOK_GRACE_SECONDS": f"{GRACE_SECONDS:.0f}",
        "PRICEBOOK_RESTORE_SECONDS": "10",
        "PRICEBOOK_DRAIN_SECONDS": "1",
    }
    small = {"PRICEBOOK_CACHE_BYTES": "1MiB", "PRICEBOOK_RESPONSE_CACHE_BYTES": "0"}
    return [common, {**common, "PRICEBOOK_READ_FROM": "secondaries"}, {**common, **small}]


async def soak(
    folder: Path, uri: str, scale: Scale, members: BreakableReplicaSet | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"Seed {SEED}, {scale.seconds:g} s.")
    with (
        new_database(uri) as database,
        servers_with(folder, environs(uri, database), module="tests.soak.server") as started,
    ):
        run = Soak(scale, SEED, started, uri, database)
        try:
            async with asyncio.timeout(scale.seconds + END_SECONDS):
                await run.run(members)
        finally:
            print(run.report())
        assert run.record.wrong == [], "\n".join(run.record.wrong[:10])
        assert run.samples.growth() == []
        monkeypatch.setenv("PRICEBOOK_MONGODB_URI", uri)
        monkeypatch.setenv("PRICEBOOK_MONGODB_DATABASE", database)
        checked = await asyncio.to_thread(CliRunner().invoke, main, ["check"])
        assert checked.exit_code == 0, checked.output


@pytest.mark.timeout(600)
async def test_a_few_seconds_of_everything_with_a_killed_server(
    tmp_path: Path, mongodb_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await soak(tmp_path, mongodb_uri, SHORT, None, monkeypatch)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + END_SECONDS + 120)
async def test_everything_at_once_with_faults_of_servers_and_members(
    tmp_path: Path, own_replica_set: BreakableReplicaSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await soak(tmp_path, own_replica_set.uri, LONG, own_replica_set, monkeypatch)
