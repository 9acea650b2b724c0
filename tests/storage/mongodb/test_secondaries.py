"""Secondaries never lie: what is read there is causally after the publish, or it is read on the primary."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from storage import BatchMode, BatchOrder, Price, Store
from storage.mongodb.connection import Client, Database, Document
from storage.mongodb.secondaries import Clock, Secondaries
from tests.stack.replica_set import BreakableReplicaSet, Member
from tests.storage.factories import create, published, row, source
from tests.waiting import until

SKUS = [f"sku-{number:04}" for number in range(1200)]


class Asked(CommandListener):
    """How often each port was asked for documents of layers."""

    def __init__(self) -> None:
        self.ports: Counter[int] = Counter()

    def started(self, event: CommandStartedEvent) -> None:
        name = event.command_name
        if name in ("find", "getMore", "aggregate"):
            collection = event.command["collection"] if name == "getMore" else event.command[name]
            if str(collection).startswith("layer."):
                self.ports[event.connection_id[1] or 0] += 1

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    @contextmanager
    def counted(self) -> Iterator[Counter[int]]:
        """Yield what is asked for meanwhile."""
        self.ports = Counter()
        yield self.ports
        self.ports = Counter()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else is said, nobody goes to the primary for a machine that is busy."""
    monkeypatch.setattr("storage.mongodb.secondaries.WAIT_SECONDS", 30.0)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
async def store(own_devset: BreakableReplicaSet, asked: Asked) -> AsyncIterator[Store]:
    """A process that reads from secondaries; the list `retail` has one version."""
    client: Client = AsyncMongoClient(own_devset.uri, tz_aware=True, event_listeners=[asked])
    writer = await Store.open(own_devset.uri, "secondaries")
    await writer.close()
    store = Store(client, "secondaries", secondaries=True)
    await create(store)
    await published(store, [row(sku, "1.00") for sku in SKUS])
    yield store
    await store.client.drop_database("secondaries")
    await store.close()


async def merge(store: Store, amount: str, key: str) -> None:
    """Publish a merge that sets the first two prices."""
    rows = await source([row(sku, amount) for sku in SKUS[:2]])
    await store.submitter.submit(BatchOrder("retail", BatchMode.MERGE, key, "integrator"), rows)


async def layers(store: Store) -> tuple[str, ...]:
    """The layers of the current version, as a reader learns of them."""
    head = await store.price_lists.get("retail")
    assert head.current_version is not None
    [snapshot] = await store.snapshots.get_many([("retail", head.current_version)])
    assert snapshot is not None
    return snapshot.layer_ids


def ports(members: list[Member]) -> set[int]:
    return {member.port for member in members}


def amounts(prices: list[Price]) -> list[str]:
    return [str(price.amount) for price in prices]


async def read_all(store: Store, stack: tuple[str, ...]) -> dict[str, str]:
    """All of a version, read in runs."""
    return {
        sku: str(price.amount)
        async for part in store.query_reader.read(stack)
        for sku, price in part
        if price is not None
    }


async def sees(store: Store, amount: str) -> None:
    """Every way of reading the current version shows this amount, and every price."""
    stack = await layers(store)
    found = await store.query_reader.find(stack, [SKUS[0], SKUS[5], "none"])
    assert {sku: str(price.amount) for sku, price in found.items()} == {SKUS[0]: amount, SKUS[5]: "1.00"}
    assert amounts(await store.query_reader.page(stack, 3)) == [amount, amount, "1.00"]
    assert amounts(await store.query_reader.page(stack, 2, before=SKUS[2], backward=True)) == [amount, amount]


async def test_layers_are_read_on_secondaries(own_devset: BreakableReplicaSet, store: Store, asked: Asked) -> None:
    stack = await layers(store)
    with asked.counted() as counted:
        for _ in range(5):
            await sees(store, "1.00")
        assert await read_all(store, stack) == dict.fromkeys(SKUS, "1.00")
    assert counted
    assert set(counted) <= ports(own_devset.secondaries())


async def test_what_is_sealed_is_read_on_the_primary(
    own_devset: BreakableReplicaSet, store: Store, asked: Asked
) -> None:
    with asked.counted() as counted:
        await merge(store, "2.00", "monday")
        for number in range(3):
            await merge(store, "2.00", f"more {number}")
        [snapshot] = await store.snapshots.get_many([("retail", 5)])
        assert snapshot is not None
        await store.compactor.compact(snapshot)
    assert set(counted) == {own_devset.primary().port}


async def test_a_sku_that_no_layer_has_is_not_asked_of_the_primary_too(
    own_devset: BreakableReplicaSet, store: Store, asked: Asked
) -> None:
    await merge(store, "2.00", "monday")
    stack = await layers(store)
    await store.query_reader.find(stack, SKUS[:5])
    with asked.counted() as counted:
        assert await store.query_reader.find(stack, ["none"]) == {}
        assert amounts(list((await store.query_reader.find(stack, [SKUS[7]])).values())) == ["1.00"]
    assert counted.total() == 4, "two look-ups in two layers"
    assert set(counted) <= ports(own_devset.secondaries())


async def asked_of_all(devset: BreakableReplicaSet, store: Store, asked: Asked, stack: tuple[str, ...]) -> None:
    """Return when every secondary has answered: this process is connected with all of them."""
    wanted = ports(devset.secondaries())
    with asked.counted() as counted:
        while not wanted <= set(counted):
            await store.query_reader.find(stack, SKUS[:3])


@asynccontextmanager
async def hanging(devset: BreakableReplicaSet, member: Member) -> AsyncIterator[None]:
    """A member that does not answer any more, nor replicates."""
    devset.kill(member, signal.SIGSTOP)
    try:
        yield
    finally:
        devset.kill(member, signal.SIGCONT)
        await until(lambda: asyncio.to_thread(lambda: len(devset.secondaries()) == 2), "whole again")


@asynccontextmanager
async def lagging(_: BreakableReplicaSet, member: Member) -> AsyncIterator[None]:
    """A member that answers, but does not replicate."""
    async with AsyncMongoClient[Document]("127.0.0.1", member.port, directConnection=True) as client:
        await client.admin.command("fsync", lock=True)
        try:
            yield
        finally:
            await client.admin.command("fsyncUnlock")


@pytest.mark.parametrize("trouble", [hanging, lagging])
async def test_with_a_secondary_in_trouble_no_price_is_missing_or_old(
    own_devset: BreakableReplicaSet,
    store: Store,
    asked: Asked,
    trouble: Callable[[BreakableReplicaSet, Member], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("storage.mongodb.secondaries.WAIT_SECONDS", 0.1)
    monkeypatch.setattr("storage.mongodb.secondaries.AVOID_SECONDS", 0.0)
    member = own_devset.secondaries()[0]
    await asked_of_all(own_devset, store, asked, await layers(store))
    async with trouble(own_devset, member):
        with asked.counted() as counted:
            for number in range(2, 6):
                await merge(store, f"{number}.00", f"batch {number}")
                await asyncio.gather(*(sees(store, f"{number}.00") for _ in range(4)))
            assert await read_all(store, await layers(store)) == {
                **dict.fromkeys(SKUS, "1.00"),
                **dict.fromkeys(SKUS[:2], "5.00"),
            }
        assert counted[member.port] > 0, "it was asked"


async def test_a_secondary_that_lags_does_not_answer_rather_than_say_what_was(
    own_devset: BreakableReplicaSet, store: Store, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.mongodb.secondaries.WAIT_SECONDS", 0.1)
    monkeypatch.setattr("storage.mongodb.secondaries.AVOID_SECONDS", 0.0)
    member = own_devset.secondaries()[0]
    await asked_of_all(own_devset, store, asked, await layers(store))
    async with lagging(own_devset, member):
        await merge(store, "2.00", "monday")
        [layer, _] = await layers(store)
        clock = store.snapshots._clock
        assert clock is not None
        secondaries = Secondaries(store.db, clock)

        async def count(db: Database, session: AsyncClientSession) -> int:
            return len(await db[f"layer.{layer}"].find({}, session=session).to_list())

        answers: list[int | None] = []
        with asked.counted() as counted:
            async with asyncio.timeout(60):
                while counted[member.port] < 3 or 2 not in answers:
                    answers.append(await secondaries.read(count))
    assert set(answers) == {2, None}


async def test_a_secondary_that_does_not_answer_is_left_alone_for_a_while(
    own_devset: BreakableReplicaSet, store: Store, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.mongodb.secondaries.WAIT_SECONDS", 0.1)
    monkeypatch.setattr("storage.mongodb.secondaries.AVOID_SECONDS", 3600.0)
    stack = await layers(store)
    member = own_devset.secondaries()[0]
    await asked_of_all(own_devset, store, asked, stack)
    async with hanging(own_devset, member):
        with asked.counted() as counted:
            while not counted[member.port]:
                await store.query_reader.find(stack, SKUS[:3])
            before = counted.copy()
            for _ in range(20):
                assert len(await store.query_reader.find(stack, SKUS[:3])) == 3
        assert counted - before == {own_devset.primary().port: 20}


async def test_a_layer_that_looks_empty_on_a_secondary_is_read_again_on_the_primary(
    own_devset: BreakableReplicaSet, store: Store, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def empty(*_: object) -> list[object]:
        return []

    stack = await layers(store)
    monkeypatch.setattr(Secondaries, "read", empty)
    with asked.counted() as counted:
        await sees(store, "1.00")
        assert len(await read_all(store, stack)) == len(SKUS)
    assert set(counted) == {own_devset.primary().port}


async def test_before_anything_is_known_of_the_time_the_primary_is_asked(store: Store) -> None:
    async def read(_: Database, __: AsyncClientSession) -> str:
        raise AssertionError("A secondary was asked.")

    assert await Secondaries(store.db, Clock()).read(read) is None


async def test_of_those_who_find_it_failing_a_single_one_tries_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.mongodb.secondaries.AVOID_SECONDS", 0.2)
    await layers(store)
    clock = store.snapshots._clock
    assert clock is not None
    secondaries, tries = Secondaries(store.db, clock), 0
    answer = asyncio.Event()

    async def failing(db: Database, session: AsyncClientSession) -> str:
        await db.command("noSuchCommand", session=session)
        return "never"

    async def slow(_: Database, __: AsyncClientSession) -> str:
        nonlocal tries
        tries += 1
        await answer.wait()
        return "answered"

    assert await secondaries.read(failing) is None
    assert await secondaries.read(slow) is None, "it is avoided"

    trying: list[Awaitable[str | None]] = []

    async def tried() -> bool:
        trying.append(asyncio.ensure_future(secondaries.read(slow)))
        await asyncio.sleep(0)
        return tries > 0

    await until(tried, "tried again")
    assert [await secondaries.read(slow) for _ in range(3)] == [None] * 3
    answer.set()
    assert (await asyncio.gather(*trying))[-1] == "answered"
    assert await secondaries.read(slow) == "answered", "all may ask again"
    assert tries == 2
