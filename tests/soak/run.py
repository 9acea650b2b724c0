"""A run of everything at once: its servers and clients, and the checks at its end."""

import asyncio
import itertools
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

END_SECONDS = 900.0
"""How long the batches in progress and the last checks may take."""

RETAINED_VERSIONS = 8
"""Number of newest versions of a list that retention keeps."""

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


class Soak:
    """A run: its clients, what they received, and what the lists must contain."""

    def __init__(
        self,
        scale: Scale,
        seed: int,
        started: list[Server],
        members: BreakableReplicaSet | None,
        uri: str,
        database: str,
    ) -> None:
        self.record = Record()
        self.samples = Samples()
        self._scale = scale
        self._seed = seed
        self._servers = started
        self._uri = uri
        self._database = database
        self._lists = [ListModel(name, skus) for name, (skus, _) in scale.lists.items()]
        self._clients: list[Client] = []
        self.faults = Faults(started, members, random.Random(seed), scale.fault_pause)

    async def run(self) -> None:
        """Do everything at once for the time of the scale, and then check every list through every process."""
        stopping, numbers = asyncio.Event(), itertools.count(1)
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
            followers = [self._follow(await client(), found) for found in self._lists]
            reading = [reader.run() for reader in readers]
            reading.append(self.samples.run(self._uri, self._database, self._servers, self._lists))
            async with running(map(self._watched, followers)):
                async with running(map(self._watched, reading)), asyncio.TaskGroup() as group:
                    for sender in senders:
                        group.create_task(sender.run(stopping))
                    for operator in operators:
                        group.create_task(operator.run(stopping))
                    group.create_task(self.faults.run(stopping))
                    await self._until_the_end(stopping)
                await self._check_all(await client())
        print(f"{len(self.faults.done)} faults: {', '.join(self.faults.done)}")

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
            retention = {"versions": RETAINED_VERSIONS, "days": 0}
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
                await reader.walk(found, pause=0.0)
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
    folder: Path,
    uri: str,
    scale: Scale,
    seed: int,
    members: BreakableReplicaSet | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run servers, and everything at once on them; check the answers, the samples and the database."""
    print(f"Seed {seed}, {scale.seconds:g} s.")
    with (
        new_database(uri) as database,
        servers_with(folder, environs(uri, database), module="tests.soak.server") as started,
    ):
        run = Soak(scale, seed, started, members, uri, database)
        try:
            async with asyncio.timeout(scale.seconds + END_SECONDS):
                await run.run()
        finally:
            print(run.report())
        assert "kill server" in run.faults.done
        assert run.record.wrong == [], "\n".join(run.record.wrong[:10])
        assert run.samples.growth() == []
        monkeypatch.setenv("PRICEBOOK_MONGODB_URI", uri)
        monkeypatch.setenv("PRICEBOOK_MONGODB_DATABASE", database)
        checked = await asyncio.to_thread(CliRunner().invoke, main, ["check"])
        assert checked.exit_code == 0, checked.output
