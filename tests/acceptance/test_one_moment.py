"""Readers of ten lists see them all as they were at one moment, while releases of these lists come and go."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage import EventKind, Store
from tests.acceptance.command import OPEN
from tests.graph.api import Client, row
from tests.stack.replica_set import BreakableReplicaSet
from tests.stack.servers import Server, servers
from tests.waiting import until

LISTS = [f"list-{number}" for number in range(10)]
READERS = 20
ROLLED_BACK = 5
"""Number of releases of which one is rolled back."""

ANSWERS_PER_RELEASE = 200
"""Answers that are read for each release: the next one waits for them."""

RETRY_SECONDS = 0.2

FIELDS = [
    f'l{number}: snapshot(priceList: "{name}") {{ version price(sku: "x") {{ amount }} }}'
    for number, name in enumerate(LISTS)
]
ALL = f"query {{ {' '.join(FIELDS)} }}"

CREATE = (
    "mutation ($input: CreateReleaseInput!) { createRelease(input: $input) { release { id } userErrors { code } } }"
)
PUBLISH = """mutation ($input: PublishReleaseInput!) {
  publishRelease(input: $input) { release { state items { toVersion } } userErrors { code message path } } }"""
ROLL_BACK = """mutation ($input: ReviewReleaseInput!) {
  rollbackRelease(input: $input) { release { state } userErrors { code message path } } }"""
BATCH = """mutation ($input: PublishBatchInput!) {
  publishBatch(input: $input) { batch { state } userErrors { code message } } }"""
UNPIN = "mutation ($input: UnpinInput!) { unpin(input: $input) { userErrors { code message } } }"

Moment = tuple[int, ...]
"""The version of each list."""


class Sender:
    """Sends mutations to any of the servers until one answers: each may be repeated."""

    def __init__(self, clients: list[Client]) -> None:
        self._clients = clients

    async def send(self, document: str, **values: Any) -> dict[str, Any]:
        """Return the payload. An unknown outcome, or a server that is gone, is tried again."""
        while True:
            for client in self._clients:
                try:
                    body = await client.execute(document, input=values)
                except (httpx.TransportError, ValueError):
                    continue
                if "errors" not in body:
                    payload: dict[str, Any] = next(iter(body["data"].values()))
                    return payload
            await asyncio.sleep(RETRY_SECONDS)

    async def release(self, number: int) -> str:
        """Publish a release of all lists, and return its id."""
        created = await self.send(CREATE, name=f"release {number}", idempotencyKey=f"{number}")
        release: str = created["release"]["id"]
        batches = [
            {
                "priceList": name,
                "mode": "MERGE",
                "prices": [row("x", f"{number}.{position}1")],
                "idempotencyKey": release,
                "release": release,
            }
            for position, name in enumerate(LISTS)
        ]
        held = await asyncio.gather(*(self.send(BATCH, **batch) for batch in batches))
        assert {each["batch"]["state"] for each in held} == {"HELD"}, held
        published = await self.send(PUBLISH, release=release)
        assert published["release"]["state"] == "PUBLISHED", published
        return release

    async def roll_back(self, release: str) -> None:
        """Roll a release back, and unpin its lists."""
        payload = await self.send(ROLL_BACK, release=release, reason="wrong")
        assert payload["release"]["state"] == "ROLLED_BACK", payload
        await asyncio.gather(*(self.send(UNPIN, priceList=name, reason="go on") for name in LISTS))


class Answers:
    """The responses of the readers: the versions of all lists, and the price of each."""

    def __init__(self) -> None:
        self.count = 0
        self.failed = 0
        self.amounts: dict[Moment, set[tuple[str, ...]]] = {}

    def add(self, data: dict[str, Any]) -> None:
        self.count += 1
        found = [data[f"l{number}"] for number in range(len(LISTS))]
        moment = tuple(each["version"] for each in found)
        self.amounts.setdefault(moment, set()).add(tuple(each["price"]["amount"] for each in found))


async def read(client: Client, answers: Answers) -> None:
    while True:
        try:
            body = await client.execute(ALL)
        except (httpx.TransportError, ValueError):
            body = {"errors": []}
        if "errors" in body:  # the server is gone, or has no primary
            answers.failed += 1
            await asyncio.sleep(RETRY_SECONDS)
        else:
            answers.add(body["data"])


async def moments(store: Store) -> list[Moment]:
    """The log of moves: the versions of all lists after each release, and after each rollback of one."""
    logs = [[each for each in await store.events.newest(name, 10_000) if each.release][::-1] for name in LISTS]
    moved = [[each for each in log if each.moved] for log in logs]
    kinds = [[(each.release, each.kind) for each in log] for log in moved]
    assert all(kind == kinds[0] for kind in kinds), "each release moved all lists, in the same order"
    assert {kind for _, kind in kinds[0]} == {EventKind.PUBLISHED, EventKind.ROLLED_BACK}
    return [tuple(each.to_version or 0 for each in moment) for moment in zip(*moved, strict=True)]


@pytest.fixture
def running(own_replica_set: BreakableReplicaSet, database: str, tmp_path: Path) -> Iterator[list[Server]]:
    """Two servers on a replica set of three members."""
    environ = {**OPEN, "PRICEBOOK_MONGODB_URI": own_replica_set.uri, "PRICEBOOK_MONGODB_DATABASE": database}
    with servers(tmp_path / "servers", 2, environ) as started:
        yield started


@pytest.fixture
def database() -> str:
    """The name of a new database."""
    return f"moments_{secrets.token_hex(6)}"


@pytest.fixture
async def store(own_replica_set: BreakableReplicaSet, database: str, running: list[Server]) -> AsyncIterator[Store]:
    """The database of the servers."""
    store = await Store.open(own_replica_set.uri, database)
    yield store
    await store.close()


@pytest.fixture
async def clients(running: list[Server]) -> AsyncIterator[list[Client]]:
    """A client of each server."""
    https = [httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) for server in running]
    yield [Client(http) for http in https]
    for http in https:
        await http.aclose()


@pytest.mark.parametrize("releases", [10, pytest.param(100, marks=pytest.mark.chaos)])
async def test_every_answer_has_the_versions_of_one_moment(
    releases: int, own_replica_set: BreakableReplicaSet, running: list[Server], clients: list[Client], store: Store
) -> None:
    for position, name in enumerate(LISTS):
        await clients[0].create(name)
        for _ in range(1 + position % 3):  # the versions of one moment differ
            await clients[0].publish(name, [row("x", f"0.{position}1"), row("y")])
    first = {name: (await store.price_lists.get(name)).current_version for name in LISTS}
    sender, answers = Sender(clients), Answers()
    faults: dict[int, Callable[[], Awaitable[object]]] = {
        releases // 3: lambda: asyncio.to_thread(kill_primary, own_replica_set),
        2 * releases // 3: lambda: asyncio.to_thread(restart, running[1]),
    }
    reading = [asyncio.create_task(read(clients[number % 2], answers)) for number in range(READERS)]
    breaking: list[asyncio.Future[object]] = []
    for number in range(1, releases + 1):
        if number in faults:
            breaking.append(asyncio.ensure_future(faults[number]()))
        release = await sender.release(number)
        if number % ROLLED_BACK == 0:
            await sender.roll_back(release)
        wanted = number * ANSWERS_PER_RELEASE

        async def are_read(wanted: int = wanted) -> bool:
            return answers.count >= wanted

        await until(are_read, "read", seconds=120)
    await asyncio.gather(*breaking)
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    log = await moments(store)
    print(f"{answers.count} answers, {len(answers.amounts)} moments, {answers.failed} failed")  # noqa: T201 - with -s
    start = tuple(first[name] or 0 for name in LISTS)
    known = {start, *log}
    mixed = {moment for moment in answers.amounts if moment not in known}
    assert not mixed
    assert all(len(amounts) == 1 for amounts in answers.amounts.values()), "prices are of their versions"
    assert len(answers.amounts) > releases // 2


def kill_primary(replica_set: BreakableReplicaSet) -> None:
    """Kill the primary, and start it again once there is another."""
    primary = replica_set.primary()
    replica_set.kill(primary, signal.SIGKILL)
    replica_set.primary()
    replica_set.restart(primary)


def restart(server: Server) -> None:
    """Kill a server, and start it again."""
    server.kill()
    server.start()
