"""A heartbeat writes what changed, and a question about one list reads nothing of the others."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandSucceededEvent

from storage import Served, Store
from storage.mongodb import leases
from storage.mongodb.connection import Document
from tests.storage.commands import Commands

LISTS = {f"list.{number}": 1 for number in range(1000)}


class Traffic(Commands):
    """The commands that were sent, and the sizes of the documents that were found, in characters."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    @property
    def updates(self) -> list[int]:
        """The sizes of the updates that were sent, in characters."""
        return [len(str(command["updates"])) for command in self.sent if "updates" in command]

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.command_name == "find":
            self.found.append(len(str(event.reply["cursor"]["firstBatch"])))

    def failed(self, event: CommandFailedEvent) -> None:
        raise AssertionError(event.failure)


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
async def process(mongodb_uri: str, store: Store, traffic: Traffic) -> AsyncIterator[Store]:
    """The store of a process whose traffic is measured."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongodb_uri, tz_aware=True, event_listeners=[traffic])
    yield Store(client, store.db.name)
    await client.close()


async def heads(store: Store) -> Any:
    found = await store.db["processes"].find_one({"_id": leases.OWNER})
    return found and {name.replace(":", "."): revision for name, revision in found["heads"].items()}


async def test_a_heartbeat_writes_only_the_revisions_that_changed(process: Store, traffic: Traffic) -> None:
    await process.processes.beat(LISTS)
    await process.processes.beat(LISTS)
    moved = LISTS | {"list.7": 2, "new": 1}
    await process.processes.beat(moved)
    assert await heads(process) == moved
    [first, unchanged, changed] = traffic.updates
    assert first > 10_000
    assert max(unchanged, changed) < 300


async def test_a_heartbeat_without_a_record_writes_everything_again(process: Store) -> None:
    await process.processes.beat(LISTS)
    await process.db["processes"].delete_many({})
    await process.processes.beat(LISTS)
    assert await heads(process) == LISTS
    await process.processes.leave()
    assert await heads(process) is None
    await process.processes.beat({"a": 1})
    assert await heads(process) == {"a": 1}


async def test_revisions_whose_heartbeat_failed_are_written_by_the_next(
    process: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await process.processes.beat(LISTS)
    collection = process.processes._collection
    with monkeypatch.context() as patched:
        patched.setattr(process.processes, "_collection", None)
        with pytest.raises(AttributeError):
            await process.processes.beat(LISTS | {"list.7": 2})
    assert process.processes._collection is collection
    await process.processes.beat(LISTS | {"list.7": 2})
    assert await heads(process) == LISTS | {"list.7": 2}


async def test_a_process_counts_itself_by_what_it_serves_now(process: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "OWNER", "other")
    await Store(process.client, process.db.name).processes.beat({"shop": 1})
    monkeypatch.setattr(leases, "OWNER", "own")
    assert await process.processes.served([("shop", 2)], {"shop": 2}) == [Served(0, 1)], "it is no server"
    await process.processes.beat({"shop": 1})
    assert await process.processes.served([("shop", 2)], {"shop": 2}) == [Served(1, 2)]
    await process.db["processes"].delete_many({"_id": "own"})
    assert await process.processes.served([("shop", 2), ("new", 1)], {"shop": 2}) == [Served(1, 2), Served(0, 2)]


async def test_a_question_about_some_lists_reads_nothing_of_the_others(
    process: Store, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, revision in (("first", 1), ("second", 2), ("third", 3)):
        monkeypatch.setattr(leases, "OWNER", owner)
        await Store(process.client, process.db.name).processes.beat(LISTS | {"list.7": revision})
    await process.db["processes"].update_one({"_id": "third"}, [{"$set": {"at": {"$subtract": ["$at", 60_000]}}}])
    served = await process.processes.served([("list.7", 2), ("list.8", 1), ("unknown", 1)], {})
    assert served == [Served(1, 2), Served(2, 2), Served(0, 2)]
    assert traffic.found[-1] < 300
