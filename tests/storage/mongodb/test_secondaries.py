"""Reads on secondaries are causally after the publish, or go to the primary."""

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
from storage.catalog.snapshots import Layer
from storage.mongodb.connection import Client, Database, Document
from storage.mongodb.documents import raise_if_unreadable
from storage.mongodb.secondaries import Clock, Secondaries
from tests.stack.replica_set import BreakableReplicaSet, Member
from tests.storage.factories import compact, create, forget_blocks, published, row, source
from tests.waiting import until

SKUS = [f"sku-{number:04}" for number in range(1200)]


class LayerReads(CommandListener):
    """Counts the reads of layer collections by port."""

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
        """Yield the counts of the reads in the body."""
        self.ports = Counter()
        yield self.ports
        self.ports = Counter()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, do not fall back to the primary because the machine is busy."""
    monkeypatch.setattr("storage.mongodb.secondaries.READ_TIMEOUT_SECONDS", 30.0)


@pytest.fixture
def layer_reads() -> LayerReads:
    return LayerReads()


@pytest.fixture
async def store(own_replica_set: BreakableReplicaSet, layer_reads: LayerReads) -> AsyncIterator[Store]:
    """A process that reads from secondaries and keeps no blocks; the list `retail` has one version."""
    client: Client = AsyncMongoClient(own_replica_set.uri, tz_aware=True, event_listeners=[layer_reads])
    writer = await Store.open(own_replica_set.uri, "secondaries")
    await writer.close()
    store = Store(client, "secondaries", secondaries=True, cache_bytes=0)
    await create(store)
    await published(store, [row(sku, "1.00") for sku in SKUS])
    yield store
    await store.client.drop_database("secondaries")
    await store.client.drop_database(store.layers_db.name)
    await store.close()


async def merge(store: Store, amount: str, key: str) -> None:
    """Publish a merge that sets the first two prices."""
    rows = await source([row(sku, amount) for sku in SKUS[:2]])
    await store.submitter.submit(BatchOrder("retail", BatchMode.MERGE, key, "integrator"), rows)


async def layers(store: Store) -> tuple[Layer, ...]:
    """Return the layers of the current version, read as a reader does."""
    pointer = await store.price_lists.get("retail")
    assert pointer.current_version is not None
    [snapshot] = map(raise_if_unreadable, await store.snapshots.get_many([("retail", pointer.current_version)]))
    assert snapshot is not None
    return snapshot.layers


def ports(members: list[Member]) -> set[int]:
    return {member.port for member in members}


def amounts(prices: list[Price]) -> list[str]:
    return [str(price.amount) for price in prices]


async def read_all(store: Store, stack: tuple[Layer, ...]) -> dict[str, str]:
    """Read all prices of a version, without what is in memory."""
    forget_blocks(store)
    return {price.sku: str(price.amount) for price in await store.query_reader.page(stack, 10_000)}


async def check_reads(store: Store, amount: str) -> None:
    """Check that every kind of read of the current version returns this amount."""
    forget_blocks(store)
    stack = await layers(store)
    prices = await store.query_reader.find(stack, [SKUS[0], SKUS[5], "none"])
    assert {sku: str(price.amount) for sku, price in prices.items()} == {SKUS[0]: amount, SKUS[5]: "1.00"}
    assert amounts(await store.query_reader.page(stack, 3)) == [amount, amount, "1.00"]
    assert amounts(await store.query_reader.page(stack, 2, before=SKUS[2], backward=True)) == [amount, amount]


async def test_layers_are_read_on_secondaries(
    own_replica_set: BreakableReplicaSet, store: Store, layer_reads: LayerReads
) -> None:
    stack = await layers(store)
    with layer_reads.counted() as counted:
        for _ in range(5):
            await check_reads(store, "1.00")
        assert await read_all(store, stack) == dict.fromkeys(SKUS, "1.00")
    assert counted
    assert set(counted) <= ports(own_replica_set.secondaries())


async def test_sealing_and_compaction_read_layers_on_the_primary(
    own_replica_set: BreakableReplicaSet, store: Store, layer_reads: LayerReads
) -> None:
    with layer_reads.counted() as counted:
        await merge(store, "2.00", "monday")
        for number in range(3):
            await merge(store, "2.00", f"more {number}")
        [snapshot] = map(raise_if_unreadable, await store.snapshots.get_many([("retail", 5)]))
        assert snapshot is not None
        await compact(store, snapshot)
    assert set(counted) == {own_replica_set.primary().port}


async def test_an_unknown_sku_is_not_looked_up_on_the_primary_as_well(
    own_replica_set: BreakableReplicaSet, store: Store, layer_reads: LayerReads
) -> None:
    await merge(store, "2.00", "monday")
    stack = await layers(store)
    await store.query_reader.find(stack, SKUS[:5])
    with layer_reads.counted() as counted:
        assert await store.query_reader.find(stack, [f"{SKUS[0]}x"]) == {}
        assert amounts(list((await store.query_reader.find(stack, [SKUS[7]])).values())) == ["1.00"]
    assert counted.total() == 4, "two look-ups in two layers"
    assert set(counted) <= ports(own_replica_set.secondaries())


async def connect_to_all(
    replica_set: BreakableReplicaSet, store: Store, layer_reads: LayerReads, stack: tuple[Layer, ...]
) -> None:
    """Read until every secondary has been used, so that this process is connected to all of them."""
    expected = ports(replica_set.secondaries())
    with layer_reads.counted() as counted:
        while not expected <= set(counted):
            await store.query_reader.find(stack, SKUS[:3])


@asynccontextmanager
async def hanging(replica_set: BreakableReplicaSet, member: Member) -> AsyncIterator[None]:
    """Make a member neither answer nor replicate."""
    replica_set.kill(member, signal.SIGSTOP)
    try:
        yield
    finally:
        replica_set.kill(member, signal.SIGCONT)
        await until(lambda: asyncio.to_thread(lambda: len(replica_set.secondaries()) == 2), "healthy again")


@asynccontextmanager
async def lagging(_: BreakableReplicaSet, member: Member) -> AsyncIterator[None]:
    """Make a member answer without replicating."""
    async with AsyncMongoClient[Document]("127.0.0.1", member.port, directConnection=True) as client:
        await client.admin.command("fsync", lock=True)
        try:
            yield
        finally:
            await client.admin.command("fsyncUnlock")


@pytest.mark.parametrize("trouble", [hanging, lagging])
async def test_no_price_is_missing_or_stale_if_a_secondary_fails(
    own_replica_set: BreakableReplicaSet,
    store: Store,
    layer_reads: LayerReads,
    trouble: Callable[[BreakableReplicaSet, Member], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("storage.mongodb.secondaries.READ_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr("storage.mongodb.secondaries.BACKOFF_SECONDS", 0.0)
    member = own_replica_set.secondaries()[0]
    await connect_to_all(own_replica_set, store, layer_reads, await layers(store))
    async with trouble(own_replica_set, member):
        with layer_reads.counted() as counted:
            for number in range(2, 6):
                await merge(store, f"{number}.00", f"batch {number}")
                await asyncio.gather(*(check_reads(store, f"{number}.00") for _ in range(4)))
            assert await read_all(store, await layers(store)) == {
                **dict.fromkeys(SKUS, "1.00"),
                **dict.fromkeys(SKUS[:2], "5.00"),
            }
        assert counted[member.port] > 0, "the failing member was never read from"


async def test_a_lagging_secondary_does_not_return_stale_data(
    own_replica_set: BreakableReplicaSet, store: Store, layer_reads: LayerReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.mongodb.secondaries.READ_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr("storage.mongodb.secondaries.BACKOFF_SECONDS", 0.0)
    member = own_replica_set.secondaries()[0]
    await connect_to_all(own_replica_set, store, layer_reads, await layers(store))
    async with lagging(own_replica_set, member):
        await merge(store, "2.00", "monday")
        [layer, _] = await layers(store)
        clock = store.snapshots._clock
        assert clock is not None
        secondaries = Secondaries(store.layers_db, clock)

        async def count(db: Database, session: AsyncClientSession) -> int:
            return len(await db[f"layer.{layer.id}"].find({}, session=session).to_list())

        answers: list[int | None] = []
        with layer_reads.counted() as counted:
            async with asyncio.timeout(60):
                while counted[member.port] < 3 or 2 not in answers:
                    answers.append(await secondaries.read(count))
    assert set(answers) == {2, None}, "a block and a page"


async def test_a_secondary_that_does_not_answer_is_avoided_for_a_while(
    own_replica_set: BreakableReplicaSet, store: Store, layer_reads: LayerReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.mongodb.secondaries.READ_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr("storage.mongodb.secondaries.BACKOFF_SECONDS", 3600.0)
    stack = await layers(store)
    member = own_replica_set.secondaries()[0]
    await connect_to_all(own_replica_set, store, layer_reads, stack)
    async with hanging(own_replica_set, member):
        with layer_reads.counted() as counted:
            while not counted[member.port]:
                await store.query_reader.find(stack, SKUS[:3])
            before = counted.copy()
            for _ in range(20):
                assert len(await store.query_reader.find(stack, SKUS[:3])) == 3
        assert counted - before == {own_replica_set.primary().port: 20}


async def test_a_layer_that_looks_empty_on_a_secondary_is_read_again_on_the_primary(
    own_replica_set: BreakableReplicaSet, store: Store, layer_reads: LayerReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def empty(*_: object) -> list[object]:
        return []

    stack = await layers(store)
    monkeypatch.setattr(Secondaries, "read", empty)
    with layer_reads.counted() as counted:
        await check_reads(store, "1.00")
        assert len(await read_all(store, stack)) == len(SKUS)
    assert set(counted) == {own_replica_set.primary().port}


async def test_what_is_damaged_on_a_secondary_is_read_again_on_the_primary(
    own_replica_set: BreakableReplicaSet, store: Store, layer_reads: LayerReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Secondaries.read

    async def damaged(self: Secondaries, *arguments: Any) -> list[Document] | None:
        documents: list[Document] | None = await read(self, *arguments)
        return documents and [{**document, "data": document["data"][:-1]} for document in documents]

    monkeypatch.setattr(Secondaries, "read", damaged)
    with layer_reads.counted() as counted:
        await check_reads(store, "1.00")
    assert counted[own_replica_set.primary().port] > 0
    assert counted.keys() & ports(own_replica_set.secondaries())
    assert store.corrupt_blocks == 0


async def test_the_primary_is_read_before_any_operation_time_is_known(store: Store) -> None:
    async def read(_: Database, __: AsyncClientSession) -> str:
        raise AssertionError("A secondary was read from.")

    assert await Secondaries(store.db, Clock()).read(read) is None


async def test_a_single_read_tries_a_failing_secondary_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.mongodb.secondaries.BACKOFF_SECONDS", 0.2)
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
    assert await secondaries.read(slow) is None, "the secondary is not avoided"

    trying: list[Awaitable[str | None]] = []

    async def tried() -> bool:
        trying.append(asyncio.ensure_future(secondaries.read(slow)))
        await asyncio.sleep(0)
        return tries > 0

    await until(tried, "tried again")
    assert [await secondaries.read(slow) for _ in range(3)] == [None] * 3
    answer.set()
    assert (await asyncio.gather(*trying))[-1] == "answered"
    assert await secondaries.read(slow) == "answered", "the secondary is still avoided"
    assert tries == 2
