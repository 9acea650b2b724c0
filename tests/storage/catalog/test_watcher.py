"""The pointers, pushed: in order, to every process, and nothing is missed when the stream breaks."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from msgspec.structs import replace
from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.errors import AutoReconnect

from loaders import PointerCache
from storage import PriceList, Store, Watcher
from storage.mongodb.connection import FORMAT, Database, Document
from tests.storage.catalog.recording_watcher import DEADLINE_SECONDS, Told
from tests.storage.factories import create, versions
from tests.waiting import until


class Line:
    """A database between which and a watcher the test can cut the line. Only the stream goes over it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.cut = False
        self.tokens: list[object] = []

    def __getitem__(self, name: str) -> "Line":
        assert name == "price_lists"
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db["price_lists"], name)

    async def watch(self, *, resume_after: object, **options: Any) -> AsyncChangeStream[Document]:
        self.tokens.append(resume_after)
        if self.cut:
            raise AutoReconnect("The test has cut the line.")
        return await self._db["price_lists"].watch(resume_after=cast("dict[str, Any]", resume_after), **options)


async def kill_streams(store: Store) -> None:
    """Have the server end the operations that wait for the next move of a pointer."""
    of_streams = {"ns": f"{store.db.name}.price_lists", "op": "getmore"}
    running = await store.client.admin.aggregate([{"$currentOp": {}}, {"$match": of_streams}])
    for operation in await running.to_list():
        await store.client.admin.command("killOp", op=operation["opid"])


async def pin(store: Store, price_list: str = "retail", version: int = 1) -> int:
    """Move the pointer, and return its revision."""
    return (await store.pointer_moves.pin(price_list, version, by="ops", reason="x")).revision


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def line(store: Store) -> Line:
    return Line(store.db)


@pytest.fixture
async def watcher(store: Store, told: Told, line: Line, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watcher]:
    """A watcher of a list `retail` that has two versions, at revision 3."""
    monkeypatch.setattr("storage.catalog.watcher.MAX_RETRY_SECONDS", 0.2)
    await versions(store, 2)
    watcher = Watcher(cast("Database", line), told)
    await watcher.start()
    yield watcher
    await watcher.stop()


async def cut(store: Store, watcher: Watcher, line: Line) -> None:
    """Break the stream and keep it from being opened again."""
    line.cut = True

    async def is_down() -> bool:
        await kill_streams(store)
        return not watcher.alive

    await until(is_down, "down")


async def mend(watcher: Watcher, line: Line) -> None:
    line.cut = False

    async def is_up() -> bool:
        return watcher.alive

    await until(is_up, "up again")


async def test_at_the_start_every_pointer_is_told_as_it_is(store: Store, told: Told) -> None:
    await versions(store, 2, "retail")
    await create(store, "wholesale")
    watcher = Watcher(store.db, told)
    assert not watcher.alive
    await watcher.start()
    assert watcher.alive
    assert told.moves == await store.price_lists.by_name()
    await watcher.stop()


async def test_every_move_is_told(store: Store, watcher: Watcher, told: Told) -> None:
    for _ in range(5):
        await told.until_revision(await pin(store))
    assert told.revisions() == [3, 4, 5, 6, 7, 8]
    times = [move.moved_at for move in told.moves]
    assert times[0] is None, "it was there before"
    assert times[1:] == sorted(time for time in times if time), "the database tells when"
    assert replace(told.moves[-1], moved_at=None) == await store.price_lists.get("retail")


async def test_in_a_rush_no_older_pointer_follows_a_newer_one(store: Store, watcher: Watcher, told: Told) -> None:
    revisions = await asyncio.gather(*(pin(store, version=1 + n % 2) for n in range(8)))
    await told.until_revision(max(revisions))
    assert told.revisions() == sorted(told.revisions())
    assert replace(told.moves[-1], moved_at=None) == await store.price_lists.get("retail")


async def test_a_new_list_is_told(store: Store, watcher: Watcher, told: Told) -> None:
    await create(store, "wholesale")
    await told.until_revision(1, "wholesale")


async def test_a_stream_that_breaks_comes_back_where_it_was(
    store: Store, watcher: Watcher, told: Told, line: Line
) -> None:
    await told.until_revision(await pin(store))
    await cut(store, watcher, line)
    missed = await pin(store)
    await mend(watcher, line)
    await told.until_revision(missed)
    await told.until_revision(await pin(store))
    assert line.tokens[0] is None
    assert None not in line.tokens[1:], "it is resumed, not opened afresh"


async def test_while_the_stream_is_down_the_pointers_are_polled(
    store: Store, watcher: Watcher, told: Told, line: Line
) -> None:
    await cut(store, watcher, line)
    for _ in range(3):
        await told.until_revision(await pin(store))
    assert not watcher.alive


async def test_a_cursor_that_the_server_dropped_is_no_loss(store: Store, watcher: Watcher, told: Told) -> None:
    of_streams = {"ns": f"{store.db.name}.price_lists", "cursor.cursorId": {"$exists": True}}
    running = await store.client.admin.aggregate([{"$currentOp": {"idleCursors": True}}, {"$match": of_streams}])
    cursors = [operation["cursor"]["cursorId"] for operation in await running.to_list()]
    assert len(cursors) == 1
    await store.db.command("killCursors", "price_lists", cursors=cursors)
    for _ in range(3):
        await told.until_revision(await pin(store))


async def test_a_token_that_is_of_no_use_any_more_is_dropped(
    store: Store, watcher: Watcher, told: Told, line: Line
) -> None:
    await told.until_revision(await pin(store))
    await store.db["price_lists"].drop()  # which ends the stream for good
    await create(store, "wholesale")
    await told.until_revision(1, "wholesale")
    await mend(watcher, line)
    assert None in line.tokens[1:]


async def test_a_list_of_a_later_release_is_told_of_in_the_log_alone_and_disturbs_no_other(
    store: Store, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    await versions(store, 1, "retail")
    await create(store, "later")
    later = {"$set": {"format": FORMAT + 1}}
    await store.db["price_lists"].update_one({"_id": "later"}, later)
    watcher = Watcher(store.db, told)
    with caplog.at_level(logging.ERROR, "pricebook.watcher"):
        async with asyncio.timeout(DEADLINE_SECONDS):
            await watcher.start()
        assert watcher.alive
        await store.db["price_lists"].update_one({"_id": "later"}, {"$inc": {"revision": 1}})
        await told.until_revision(await pin(store))
    assert watcher.alive
    assert {move.name for move in told.moves} == {"retail"}
    told_of = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert [f"format {FORMAT + 1}" in message for message in told_of] == [True, True]
    await watcher.stop()


async def test_a_stopped_watcher_tells_nothing_more(store: Store, watcher: Watcher, told: Told) -> None:
    await watcher.stop()
    assert not watcher.alive
    before = list(told.moves)
    other = Told()
    second = Watcher(store.db, other)
    await second.start()
    await other.until_revision(await pin(store))
    await second.stop()
    assert told.moves == before


class NoticingHeads(PointerCache):
    """The heads of a process, whose every observation can be waited for."""

    def __init__(self, store: Store) -> None:
        self.told = Told()
        super().__init__(store)

    def observe(self, head: PriceList) -> None:
        super().observe(head)
        self.told(head)


async def test_all_processes_see_a_rollback_at_once(store: Store, other_store: Store) -> None:
    await versions(store, 2)
    processes = [NoticingHeads(store), NoticingHeads(other_store)]
    for pointers in processes:
        await pointers.start()
        assert (await pointers.get("retail")).current_version == 2
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    for pointers in processes:
        await pointers.told.until_revision(moved.revision)
        assert pointers.alive, "it was pushed"
        assert replace(await pointers.get("retail"), moved_at=None) == moved
        await pointers.stop()
