"""The watcher pushes pointers in order to every process, and misses nothing when the stream breaks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, cast

import pytest
from bson.datetime_ms import DatetimeMS
from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import AutoReconnect

from loaders import PointerCache
from storage import PriceList, Store
from storage.catalog.price_lists import ReleaseMark, from_document
from storage.catalog.watcher import MAX_AWAIT_MS, Watcher
from storage.mongodb.connection import FORMAT, Client, Database, Document, prepare
from storage.mongodb.transaction import in_transaction
from tests.storage.catalog.recording_watcher import DEADLINE_SECONDS, PointerRecorder, watching
from tests.storage.factories import create, versions
from tests.waiting import until


class InterruptibleDatabase:
    """A database whose change stream the test can interrupt."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.error: Exception | None = None

    def __getitem__(self, name: str) -> "InterruptibleDatabase":
        assert name == "price_lists"
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db["price_lists"], name)

    @property
    def client(self) -> Client:
        return self._db.client

    async def watch(self, **options: Any) -> AsyncChangeStream[Document]:
        if self.error:
            raise self.error
        return await self._db["price_lists"].watch(**options)


async def kill_streams(store: Store) -> None:
    """Kill the server operations that wait for the next change of a pointer."""
    of_streams = {"ns": f"{store.db.name}.price_lists", "op": "getmore"}
    running = await store.client.admin.aggregate([{"$currentOp": {}}, {"$match": of_streams}])
    for operation in await running.to_list():
        await store.client.admin.command("killOp", op=operation["opid"])


async def pin(store: Store, price_list: str = "retail", version: int = 1) -> int:
    """Move the pointer, and return its revision."""
    return (await store.pointer_moves.pin(price_list, version, by="ops", reason="x")).revision


@pytest.fixture
def recorder() -> PointerRecorder:
    return PointerRecorder()


@pytest.fixture
def database(store: Store) -> InterruptibleDatabase:
    return InterruptibleDatabase(store.db)


@pytest.fixture
async def watcher(
    store: Store, recorder: PointerRecorder, database: InterruptibleDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watcher]:
    """A watcher of a list `retail` that has two versions, at revision 3."""
    monkeypatch.setattr("storage.catalog.watcher.MAX_RETRY_SECONDS", 0.2)
    await versions(store, 2)
    watcher = watching(cast("Database", database), recorder)
    await watcher.start()
    yield watcher
    await watcher.stop()


async def interrupt(store: Store, watcher: Watcher, database: InterruptibleDatabase) -> None:
    """Break the stream and prevent it from being opened again."""
    database.error = AutoReconnect("Interrupted by the test.")

    async def is_down() -> bool:
        await kill_streams(store)
        return not watcher.alive

    await until(is_down, "down")


async def reconnect(watcher: Watcher, database: InterruptibleDatabase) -> None:
    database.error = None

    async def is_up() -> bool:
        return watcher.alive

    await until(is_up, "up again")


async def test_start_reports_every_pointer(store: Store, recorder: PointerRecorder) -> None:
    await versions(store, 2, "retail")
    await create(store, "wholesale")
    watcher = watching(store.db, recorder)
    assert not watcher.alive
    await watcher.start()
    assert watcher.alive
    assert recorder.moves == [await store.price_lists.get(name) for name in ("retail", "wholesale")]
    await watcher.stop()


async def test_every_move_is_reported(store: Store, watcher: Watcher, recorder: PointerRecorder) -> None:
    for _ in range(5):
        await recorder.until_revision(await pin(store))
    assert recorder.revisions() == [3, 4, 5, 6, 7, 8]
    times = [move.moved_at for move in recorder.moves]
    assert times == sorted(times)
    assert recorder.moves[-1] == await store.price_lists.get("retail")


async def test_concurrent_moves_are_reported_in_order(
    store: Store, watcher: Watcher, recorder: PointerRecorder
) -> None:
    revisions = await asyncio.gather(*(pin(store, version=1 + n % 2) for n in range(8)))
    await recorder.until_revision(max(revisions))
    assert recorder.revisions() == sorted(recorder.revisions())
    assert recorder.moves[-1] == await store.price_lists.get("retail")


async def move_together(store: Store, *names: str, lists: int | None = None) -> None:
    """Move lists in one transaction, as a release does, whose mark counts `lists`."""

    async def move(session: AsyncClientSession) -> None:
        seen = [await store.price_lists.get(name, session) for name in names]
        mark = ReleaseMark("1", lists or len(names))
        await store.price_lists.move_all([(each, {"release": mark}) for each in seen], session)

    await in_transaction(store.client, move)


async def test_the_lists_of_a_release_are_reported_together(
    store: Store, watcher: Watcher, recorder: PointerRecorder
) -> None:
    names = [f"list{number}" for number in range(5)]
    for name in names:
        await create(store, name)
    for _ in range(3):
        await asyncio.gather(move_together(store, *names), pin(store))
        await in_transaction(store.client, partial(store.price_lists.note_compaction, names[2]))
    await recorder.until_revision(4, names[-1])
    marked = [report for report in recorder.reports if report[0].release and len(report) > 1]
    assert [[(each.name, each.revision) for each in report] for report in marked] == [
        [(name, revision) for name in names] for revision in (2, 3, 4)
    ]
    assert watcher.alive


async def test_each_pointer_is_reported_as_its_change_left_it_and_not_as_it_is_later(
    store: Store, watcher: Watcher, recorder: PointerRecorder
) -> None:
    for version in (1, 2, 1, 2):
        last = await pin(store, version=version)
    await recorder.until_revision(last)
    assert [move.current_version for move in recorder.moves[-4:]] == [1, 2, 1, 2]


async def test_if_a_list_of_a_release_is_missing_all_pointers_are_read(
    store: Store, watcher: Watcher, recorder: PointerRecorder
) -> None:
    await create(store, "wholesale")
    await move_together(store, "wholesale", lists=2)
    await recorder.until_revision(await pin(store))
    await recorder.until_revision(2, "wholesale")
    assert {each.name for each in recorder.reports[-1]} >= {"retail", "wholesale"}


async def test_all_pointers_are_read_at_one_moment(store: Store, watcher: Watcher) -> None:
    names = [f"list{number}" for number in range(5)]
    for name in names:
        await create(store, name)
    moving = asyncio.gather(*(move_together(store, *names) for _ in range(10)))
    while not moving.done():
        revisions = {each.revision for each in await watcher.read() if each.name in names}
        assert len(revisions) == 1
    await moving
    assert {each.revision for each in await watcher.read() if each.name in names} == {11}


async def test_a_new_list_is_reported(store: Store, watcher: Watcher, recorder: PointerRecorder) -> None:
    await create(store, "wholesale")
    await recorder.until_revision(1, "wholesale")


async def test_what_moved_while_the_stream_was_down_is_reported(
    store: Store, watcher: Watcher, recorder: PointerRecorder, database: InterruptibleDatabase
) -> None:
    await recorder.until_revision(await pin(store))
    await interrupt(store, watcher, database)
    missed = await pin(store)
    await reconnect(watcher, database)
    await recorder.until_revision(missed)
    await recorder.until_revision(await pin(store))
    assert recorder.revisions() == sorted(recorder.revisions())


async def test_while_the_stream_is_down_the_pointers_are_polled(
    store: Store, watcher: Watcher, recorder: PointerRecorder, database: InterruptibleDatabase
) -> None:
    await interrupt(store, watcher, database)
    for _ in range(3):
        await recorder.until_revision(await pin(store))
    assert not watcher.alive


async def test_nothing_is_missed_when_the_server_drops_the_cursor(
    store: Store, watcher: Watcher, recorder: PointerRecorder
) -> None:
    of_streams = {"ns": f"{store.db.name}.price_lists", "cursor.cursorId": {"$exists": True}}
    running = await store.client.admin.aggregate([{"$currentOp": {"idleCursors": True}}, {"$match": of_streams}])
    cursors = [operation["cursor"]["cursorId"] for operation in await running.to_list()]
    assert len(cursors) == 1
    await store.db.command("killCursors", "price_lists", cursors=cursors)
    for _ in range(3):
        await recorder.until_revision(await pin(store))


async def test_a_stream_that_the_server_ended_is_opened_again(
    store: Store, watcher: Watcher, recorder: PointerRecorder, database: InterruptibleDatabase
) -> None:
    await recorder.until_revision(await pin(store))
    await store.db["price_lists"].drop()  # which ends the stream for good
    await prepare(store.db)
    await create(store, "wholesale")
    await recorder.until_revision(1, "wholesale")
    await reconnect(watcher, database)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"format": FORMAT + 1}, f"format {FORMAT + 1}"),
        ({"description": 5}, "$.description"),
        ({"createdAt": DatetimeMS(1 << 50)}, "$.createdAt"),
    ],
)
async def test_an_unreadable_list_is_logged_and_does_not_disturb_the_others(
    fields: Document, text: str, store: Store, recorder: PointerRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    await versions(store, 1, "retail")
    await create(store, "later")
    await store.db["price_lists"].update_one({"_id": "later"}, {"$set": fields})
    watcher = watching(store.db, recorder)
    with caplog.at_level(logging.ERROR, "pricebook.watcher"):
        async with asyncio.timeout(DEADLINE_SECONDS):
            await watcher.start()
        assert watcher.alive
        await store.db["price_lists"].update_one({"_id": "later"}, {"$inc": {"revision": 1}})
        await recorder.until_revision(await pin(store))
    assert watcher.alive
    assert {move.name for move in recorder.moves} == {"retail"}
    messages = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert [text in message for message in messages] == [True, True]
    await watcher.stop()


async def test_an_unforeseen_error_of_one_document_is_logged_and_does_not_disturb_the_others(
    store: Store,
    watcher: Watcher,
    recorder: PointerRecorder,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(document: Document) -> PriceList:
        if document["_id"] == "odd":
            raise TypeError("Unforeseen.")
        return from_document(document)

    monkeypatch.setattr("storage.catalog.watcher.from_document", read)
    with caplog.at_level(logging.ERROR, "pricebook.watcher"):
        await create(store, "odd")
        await recorder.until_revision(await pin(store))
    assert watcher.alive
    assert {move.name for move in recorder.moves} == {"retail"}
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_an_error_of_one_subscriber_stops_neither_the_others_nor_the_stream(
    store: Store, recorder: PointerRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(pointers: Sequence[PriceList]) -> None:
        raise RuntimeError(str(pointers))

    await versions(store, 1)
    watcher = Watcher(store.db)
    watcher.subscribe(fail)
    watcher.subscribe(recorder)
    with caplog.at_level(logging.ERROR, "pricebook.watcher"):
        async with asyncio.timeout(DEADLINE_SECONDS):
            await watcher.start()
        await recorder.until_revision(await pin(store))
    assert watcher.alive
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    await watcher.stop()


async def test_an_unforeseen_error_of_the_stream_does_not_end_the_watcher(
    store: Store, recorder: PointerRecorder, database: InterruptibleDatabase
) -> None:
    await versions(store, 1)
    database.error = TypeError("Unforeseen.")
    watcher = watching(cast("Database", database), recorder)
    starting = asyncio.create_task(watcher.start())
    await recorder.until_revision(await pin(store))
    assert not watcher.alive
    database.error = None
    async with asyncio.timeout(DEADLINE_SECONDS):
        await starting
    assert watcher.alive
    await watcher.stop()


async def test_a_stopped_watcher_reports_nothing(store: Store, watcher: Watcher, recorder: PointerRecorder) -> None:
    await watcher.stop()
    assert not watcher.alive
    before = list(recorder.moves)
    other = PointerRecorder()
    second = watching(store.db, other)
    await second.start()
    await other.until_revision(await pin(store))
    await second.stop()
    assert recorder.moves == before


async def test_a_stop_right_after_a_change_does_not_wait_for_the_next(
    store: Store, watcher: Watcher, recorder: PointerRecorder
) -> None:
    await recorder.until_revision(await pin(store))
    async with asyncio.timeout(MAX_AWAIT_MS / 2000):
        await watcher.stop()
    assert not watcher.alive


class RecordingPointerCache(PointerCache):
    """The pointers of a process, with a recorder of every change."""

    def __init__(self, store: Store) -> None:
        self.recorder = PointerRecorder()
        super().__init__(store)
        store.watcher.subscribe(self.recorder)


async def test_all_processes_see_a_rollback_at_once(store: Store, other_store: Store) -> None:
    await versions(store, 2)
    processes = [RecordingPointerCache(store), RecordingPointerCache(other_store)]
    for pointers in processes:
        await pointers.start()
        assert (await pointers.get("retail")).current_version == 2
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    for pointers in processes:
        await pointers.recorder.until_revision(moved.revision)
        assert pointers.alive, "it was pushed"
        assert await pointers.get("retail") == moved
        await pointers.stop()
