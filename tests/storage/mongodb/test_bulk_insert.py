"""Inserts are acknowledged by the primary and confirmed by a majority in groups."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from bson.timestamp import Timestamp
from pymongo.errors import NotPrimaryError

from storage import BatchState, Store, Unavailable
from storage.mongodb import bulk_insert
from storage.mongodb.bulk_insert import BulkInsert
from storage.mongodb.connection import DURABLE, Database
from tests.stack.replica_set import BreakableReplicaSet
from tests.storage.factories import amounts, row, submit, versions
from tests.waiting import until

MAJORITY = DURABLE.document


@dataclass
class Primary:
    """A fake primary that records its commands, and confirms when the test allows it."""

    write_concern = DURABLE
    term: int = 1
    has_optimes: bool = True
    may_confirm: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception | None] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    written: int = 0
    refusals: list[int] = field(default_factory=list)

    async def command(self, command: dict[str, Any]) -> dict[str, Any]:
        if "insert" in command:
            self.written += 1
            durable = command["writeConcern"] == MAJORITY
            self.commands.append(f"insert {command['insert']}{' durably' if durable else ''}")
            errors = [{"index": 0, "code": self.refusals.pop(0)}] if self.refusals else []
            return {**self._reply(), **({"writeErrors": errors} if errors else {})}
        assert command["writeConcern"] == MAJORITY
        reply = self._reply()
        self.commands.append("confirm")
        await self.may_confirm.wait()
        if failure := self.failures.pop(0) if self.failures else None:
            raise failure
        return reply

    def _reply(self) -> dict[str, Any]:
        optime = {"opTime": {"ts": Timestamp(self.written, 1), "t": self.term}} if self.has_optimes else {}
        return {"ok": 1.0, **optime}


@pytest.fixture
def primary() -> Primary:
    return Primary()


@pytest.fixture
def inserts(primary: Primary) -> BulkInsert:
    return BulkInsert(cast("Database", primary))


async def run_tasks() -> None:
    """Run all tasks until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_command_confirms_all_inserts_acknowledged_before_it(primary: Primary, inserts: BulkInsert) -> None:
    first = asyncio.create_task(inserts.send("first", [b""]))
    await run_tasks()
    later = [asyncio.create_task(inserts.send(f"later {number}", [b""])) for number in range(5)]
    await run_tasks()
    assert primary.commands == ["insert first", "confirm", *(f"insert later {number}" for number in range(5))]
    primary.may_confirm.set()
    assert await asyncio.gather(first, *later) == [[]] * 6
    assert primary.commands[7:] == ["confirm"], "inserts sent during a confirmation need another one"


async def test_an_insert_acknowledged_in_an_earlier_term_is_sent_again(primary: Primary, inserts: BulkInsert) -> None:
    sending = asyncio.create_task(inserts.send("a", [b""]))
    await run_tasks()
    primary.failures.append(NotPrimaryError("stepped down"))
    primary.term = 2
    primary.may_confirm.set()
    await sending
    assert primary.commands == ["insert a", "confirm", "confirm", "insert a", "confirm"]


async def test_a_failed_confirmation_confirms_nothing(
    primary: Primary, inserts: BulkInsert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_insert, "RESEND_TIMEOUT_SECONDS", -1.0)
    primary.failures += [None, NotPrimaryError("stepped down")]
    sending = []
    for name in ("first", "leads", "follows"):
        sending.append(asyncio.create_task(inserts.send(name, [b""])))
        await run_tasks()
    primary.may_confirm.set()
    results = await asyncio.gather(*sending, return_exceptions=True)
    assert [type(result) for result in results] == [list, Unavailable, list]
    assert primary.commands == ["insert first", "confirm", "insert leads", "insert follows", "confirm", "confirm"]


async def test_document_errors_of_a_former_primary_cause_a_retry(primary: Primary, inserts: BulkInsert) -> None:
    primary.may_confirm.set()
    primary.refusals += [10107, 11000]
    assert await inserts.send("a", [b""]) == [{"index": 0, "code": 11000}]
    assert primary.commands == ["insert a", "insert a", "confirm"]


async def test_without_optimes_every_insert_waits_for_a_majority(primary: Primary, inserts: BulkInsert) -> None:
    primary.has_optimes = False
    await inserts.send("a", [b""])
    await inserts.send("b", [b""])
    assert primary.commands == ["insert a", "insert a durably", "insert b durably"]


# ---------------------------------------------------------------- on a real replica set


@pytest.fixture
async def store(own_replica_set: BreakableReplicaSet) -> AsyncIterator[Store]:
    store = await Store.open(own_replica_set.uri, "inserts")
    yield store
    await store.client.drop_database("inserts")
    await store.close()


async def test_rows_lost_with_the_primary_are_sent_again(
    own_replica_set: BreakableReplicaSet, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Eight inserts of 8 MB exceed the socket buffers to the secondaries while those are paused.
    monkeypatch.setattr("storage.layers.writer.MAX_CONCURRENT_INSERTS", 8)
    wide = [row(f"sku-{number}", "2.00", attributes={"text": 16_000 * "x"}) for number in range(4000)]
    await versions(store, 1)
    primary, secondaries = own_replica_set.primary(), own_replica_set.secondaries()
    confirm, acknowledged = store.layer_writer._inserts._confirm, asyncio.Semaphore(0)

    async def signalling_confirm() -> Any:
        acknowledged.release()
        return await confirm()

    store.layer_writer._inserts._confirm = signalling_confirm  # type: ignore[method-assign]
    create = store.layer_writer.create

    async def create_and_pause(layer: str) -> None:
        await create(layer)
        for member in secondaries:
            own_replica_set.kill(member, signal.SIGSTOP)

    store.layer_writer.create = create_and_pause  # type: ignore[method-assign]
    sending = asyncio.create_task(submit(store, wide, key="monday"))
    async with asyncio.timeout(60):
        for _ in range(8):
            await acknowledged.acquire()
        own_replica_set.kill(primary, signal.SIGKILL)
        for member in secondaries:
            own_replica_set.kill(member, signal.SIGCONT)
        batch = await sending
    own_replica_set.restart(primary)
    assert (batch.state, batch.rows) == (BatchState.PUBLISHED, 4000)
    assert len(await amounts(store, 2)) == 4000
    await until(lambda: asyncio.to_thread(lambda: len(own_replica_set.secondaries()) == 2), "healthy again")
