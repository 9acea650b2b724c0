"""The pointer cache: pointers are served from memory while they are pushed, and read from the database otherwise."""

import asyncio
import datetime
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from msgspec.structs import replace

from loaders import PointerCache
from storage import PriceList, PriceListNotFound, Store
from storage.catalog.price_lists import Deletion, from_document
from storage.catalog.watcher import Watcher
from tests.waiting import until


class FakeWatcher:
    """Reports the pointers that the test passes to `moved`, as of one moment."""

    def __init__(self, store: Store) -> None:
        self.alive = True
        self._store = store

    def subscribe(self, on_change: Callable[[Sequence[PriceList]], None]) -> None:
        self._on_change = on_change

    def moved(self, *pointers: PriceList) -> None:
        self._on_change(pointers)

    async def read(self) -> list[PriceList]:
        return [from_document(each) async for each in self._store.db["price_lists"].find()]


@pytest.fixture
def watcher(mock_store: Store) -> FakeWatcher:
    """The watcher that `pointers` follows."""
    return FakeWatcher(mock_store)


@pytest.fixture
def pointers(mock_store: Store, watcher: FakeWatcher) -> PointerCache:
    mock_store.watcher = cast("Watcher", watcher)
    return PointerCache(mock_store)


def make_pointer(revision: int, version: int | None, name: str = "retail") -> PriceList:
    created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return PriceList(name, None, version, version or 0, revision, None, created)


async def find(pointers: PointerCache) -> PriceList | None:
    """Return the list `retail`, or None."""
    found = await pointers.current_with("retail")
    return found["retail"] if found else None


async def put(store: Store, price_list: PriceList) -> None:
    """Store a pointer, as another process would."""
    await store.db["price_lists"].replace_one(
        {"_id": price_list.name},
        {
            "_id": price_list.name,
            "format": 1,
            "description": None,
            "version": price_list.current_version,
            "publishedVersion": price_list.published_version,
            "lastVersion": price_list.last_version,
            "gates": {},
            "revision": price_list.revision,
            "pin": None,
            "createdAt": price_list.created_at,
        },
        upsert=True,
    )


async def test_a_pushed_pointer_is_served_from_memory(
    pointers: PointerCache, watcher: FakeWatcher, mock_store: Store
) -> None:
    watcher.moved(make_pointer(3, 2))
    await put(mock_store, make_pointer(9, 8))
    assert await find(pointers) == make_pointer(3, 2)


async def test_an_older_revision_changes_nothing(pointers: PointerCache, watcher: FakeWatcher) -> None:
    watcher.moved(make_pointer(5, 2))
    for older in (make_pointer(4, 9), make_pointer(5, 9)):
        watcher.moved(older)
        assert await find(pointers) == make_pointer(5, 2)


async def test_a_newer_revision_wins_even_with_a_lower_version(pointers: PointerCache, watcher: FakeWatcher) -> None:
    watcher.moved(make_pointer(5, 4))
    watcher.moved(make_pointer(6, 1))
    assert await pointers.get("retail") == make_pointer(6, 1)


async def test_lists_do_not_disturb_each_other(pointers: PointerCache, watcher: FakeWatcher) -> None:
    watcher.moved(make_pointer(9, 9, "a"))
    watcher.moved(make_pointer(1, None, "b"))
    assert [await pointers.get(name) for name in "ab"] == [make_pointer(9, 9, "a"), make_pointer(1, None, "b")]


async def test_while_the_stream_is_down_the_pointer_is_read(
    pointers: PointerCache, watcher: FakeWatcher, mock_store: Store
) -> None:
    watcher.moved(make_pointer(3, 2))
    watcher.alive = False
    await put(mock_store, make_pointer(4, 3))
    assert await find(pointers) == make_pointer(4, 3)
    await put(mock_store, make_pointer(5, 4))
    assert await find(pointers) == make_pointer(5, 4)
    watcher.alive = True
    assert await find(pointers) == make_pointer(5, 4), "the last read is cached"


async def test_a_list_that_was_not_pushed_yet_is_waited_for(
    pointers: PointerCache, watcher: FakeWatcher, mock_store: Store
) -> None:
    assert await find(pointers) is None
    await put(mock_store, make_pointer(1, None))
    finding = asyncio.ensure_future(find(pointers))
    await asyncio.sleep(0.05)
    assert not finding.done(), "other lists may have moved before it was created"
    watcher.moved(make_pointer(1, None))
    assert await finding == make_pointer(1, None)


async def test_a_move_that_is_not_pushed_in_time_is_read(
    pointers: PointerCache, mock_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.pointer_cache.PUSH_TIMEOUT_SECONDS", 0.05)
    await put(mock_store, make_pointer(1, None))
    await put(mock_store, make_pointer(1, None, "other"))
    assert await find(pointers) == make_pointer(1, None)
    assert {*pointers.served} == {"retail", "other"}, "all lists, at one moment"


async def test_the_served_pointers_are_replaced_as_a_whole(pointers: PointerCache, watcher: FakeWatcher) -> None:
    watcher.moved(make_pointer(1, 1, "a"), make_pointer(1, 1, "b"))
    before = pointers.served
    watcher.moved(make_pointer(2, 2, "a"), make_pointer(2, 2, "b"))
    assert [pointer.current_version for pointer in before.values()] == [1, 1]
    assert [pointer.current_version for pointer in pointers.served.values()] == [2, 2]


async def test_readers_at_once_share_a_read_that_begins_after_they_asked(
    pointers: PointerCache, watcher: FakeWatcher, mock_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher.alive = False
    reads: list[asyncio.Future[list[PriceList]]] = []

    async def read() -> list[PriceList]:
        reads.append(asyncio.get_running_loop().create_future())
        return await reads[-1]

    monkeypatch.setattr(watcher, "read", read)
    first = asyncio.ensure_future(pointers.current())
    await asyncio.sleep(0)
    later = [asyncio.ensure_future(pointers.current()) for _ in range(3)]
    await asyncio.sleep(0)
    reads[0].set_result([make_pointer(1, 1)])
    assert (await first)["retail"].current_version == 1

    async def has_read_twice() -> bool:
        return len(reads) == 2

    await until(has_read_twice, "read again")
    reads[1].set_result([make_pointer(2, 2)])
    assert [served["retail"].current_version for served in await asyncio.gather(*later)] == [2, 2, 2]
    assert len(reads) == 2


async def test_a_list_that_does_not_exist_is_none_or_an_error(pointers: PointerCache) -> None:
    assert await pointers.current_with("nope") is None
    with pytest.raises(PriceListNotFound, match="nope"):
        await pointers.get("nope")


async def test_the_cache_is_alive_while_its_watcher_is(pointers: PointerCache, watcher: FakeWatcher) -> None:
    assert pointers.alive
    watcher.alive = False
    assert not pointers.alive


async def test_known_returns_pointers_only_while_they_are_pushed(pointers: PointerCache, watcher: FakeWatcher) -> None:
    assert pointers.known("retail") is None
    watcher.moved(make_pointer(3, 2))
    assert pointers.known("retail") == make_pointer(3, 2)
    watcher.alive = False
    assert pointers.known("retail") is None


async def test_a_deleted_list_is_gone_and_no_older_pointer_brings_it_back(
    pointers: PointerCache, watcher: FakeWatcher
) -> None:
    watcher.moved(make_pointer(3, 2))
    waiting = asyncio.ensure_future(pointers.wait_for_move("retail", 3))
    await asyncio.sleep(0)
    deleted = replace(make_pointer(4, None), deletion=Deletion(datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)))
    watcher.moved(deleted)
    for older in (make_pointer(3, 2), deleted):
        watcher.moved(older)
        assert (pointers.known("retail"), pointers.price_lists(), pointers.revisions()) == (None, [], {})
        assert await find(pointers) is None
    with pytest.raises(PriceListNotFound):
        await waiting
    watcher.moved(make_pointer(5, None))
    assert pointers.known("retail") == make_pointer(5, None)


async def test_the_lag_of_pushed_pointers_is_counted(
    pointers: PointerCache, watcher: FakeWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = make_pointer(2, 1)
    now = moved.created_at.timestamp()
    monkeypatch.setattr("loaders.pointer_cache.time.time", lambda: now + 0.75)
    watcher.moved(make_pointer(1, None))
    assert sum(pointers.lag.counts) == 0, "the list was not known before"
    watcher.moved(replace(moved, moved_at=moved.created_at))
    watcher.moved(replace(moved, moved_at=moved.created_at))
    assert (sum(pointers.lag.counts), pointers.lag.seconds) == (1, 0.75)
    clock_ahead = moved.created_at + datetime.timedelta(seconds=2)
    watcher.moved(replace(make_pointer(3, 1), moved_at=clock_ahead))
    assert (sum(pointers.lag.counts), pointers.lag.seconds) == (2, 0.75)


async def test_the_lag_does_not_count_moves_by_this_process_or_pointers_that_it_read(
    pointers: PointerCache, watcher: FakeWatcher, mock_store: Store
) -> None:
    watcher.moved(make_pointer(1, None))
    switching = asyncio.ensure_future(pointers.switch_to({"retail": 2}))
    await asyncio.sleep(0)
    watcher.moved(make_pointer(2, 1))
    await switching
    watcher.alive = False
    await put(mock_store, make_pointer(3, 1))
    await find(pointers)
    watcher.alive = True
    watcher.moved(make_pointer(3, 1))
    assert sum(pointers.lag.counts) == 0
    watcher.moved(make_pointer(4, 1))
    assert sum(pointers.lag.counts) == 1
