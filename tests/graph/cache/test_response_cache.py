"""The response cache is bounded in bytes and returns valid entries only."""

import asyncio
import datetime
from typing import cast

import pytest

from graph.cache.cache_control import CacheControl, CachePolicy
from graph.cache.response_cache import ENTRY_OVERHEAD_BYTES, SWEEP_PER_INSERT, Entry, Key, ResponseCache
from graph.telemetry.requests import OperationStats
from loaders import PointerCache
from storage import DatabaseClock, PriceList

LIMIT = 64 << 10


class FakePointers:
    """Pointers that the test moves."""

    def __init__(self) -> None:
        self.alive = True
        self.moved = asyncio.Event()
        self._pointers: dict[str, PriceList] = {}

    def known(self, name: str) -> PriceList | None:
        return self._pointers.get(name) if self.alive else None

    def move(self, name: str, revision: int) -> None:
        created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self._pointers[name] = PriceList(name, None, 1, 1, revision, None, created)
        self.moved = asyncio.Event()


class FixedClock:
    """A clock of the database that the test sets."""

    def __init__(self, left: float = 0.0) -> None:
        self.left = left

    def seconds_until(self, _: datetime.datetime) -> float:
        return self.left


@pytest.fixture
def pointers() -> FakePointers:
    """The pointers of two lists."""
    pointers = FakePointers()
    pointers.move("retail", 1)
    pointers.move("wholesale", 1)
    return pointers


@pytest.fixture
def cache(pointers: FakePointers) -> ResponseCache:
    """A small cache."""
    return ResponseCache(cast("PointerCache", pointers), LIMIT)


def key(name: str) -> Key:
    return ("POST", name.encode(), "application/json", "anonymous")


def entry(text: str = "", **revisions: int) -> Entry:
    return entry_of(CacheControl(), None, FixedClock(), text, **revisions)


def entry_of(
    control: CacheControl,
    next_change_at: datetime.datetime | None,
    clock: "FixedClock",
    text: str = "",
    **revisions: int,
) -> Entry:
    policy = CachePolicy(control, "anonymous", b'"e"', False, next_change_at, cast("DatabaseClock", clock))
    headers = policy.freshness().headers
    return Entry(headers, text.encode(), policy, revisions or {"retail": 1}, OperationStats())


def test_an_entry_is_found_by_its_whole_key(cache: ResponseCache) -> None:
    cache.put(key("a"), kept := entry())
    assert cache.find(key("a")) is kept
    for other in (
        ("GET", b"a", "application/json", "anonymous"),
        ("POST", b"b", "application/json", "anonymous"),
        ("POST", b"a", "application/graphql-response+json", "anonymous"),
        ("POST", b"a", "application/json", "someone"),
    ):
        assert cache.find(other) is None
    assert (cache.hits, cache.misses) == (1, 4)


def test_a_pointer_move_removes_the_entries_that_depend_on_it(cache: ResponseCache, pointers: FakePointers) -> None:
    cache.put(key("a"), entry(retail=1))
    cache.put(key("b"), entry(wholesale=1))
    cache.put(key("both"), entry(retail=1, wholesale=1))
    pointers.move("wholesale", 2)
    assert [cache.find(key(name)) is not None for name in ("a", "b", "both")] == [True, False, False]
    assert len(cache) == 1
    pointers.move("retail", 2)
    assert cache.find(key("a")) is None
    assert (len(cache), cache.bytes) == (0, 0)


def test_no_entry_is_returned_while_pointers_are_not_pushed(cache: ResponseCache, pointers: FakePointers) -> None:
    cache.put(key("a"), entry())
    pointers.alive = False
    assert cache.find(key("a")) is None
    pointers.alive = True
    assert cache.find(key("a")) is not None


def test_an_entry_of_an_unknown_list_is_not_returned(cache: ResponseCache) -> None:
    cache.put(key("a"), entry(unknown=1))
    assert cache.find(key("a")) is None


def test_the_size_is_bounded_and_the_least_recently_used_entry_is_evicted_first(cache: ResponseCache) -> None:
    for n in range(200):
        cache.put(key(f"{n}"), entry("x" * 500))
        assert cache.find(key("0")) is not None
        assert cache.bytes <= LIMIT
    assert cache.bytes == sum(kept.size for name in cache._entries if (kept := cache._entries.peek(name)))
    assert cache.evictions == 200 - len(cache)
    assert cache.find(key("199")) is not None
    assert cache.find(key("1")) is None


def test_the_size_of_an_entry_includes_its_request_and_overhead(cache: ResponseCache) -> None:
    cache.put(key("q" * 100), kept := entry("x" * 300))
    assert cache.bytes == 100 + len(kept.body) + ENTRY_OVERHEAD_BYTES


def test_a_large_response_is_not_cached(cache: ResponseCache) -> None:
    cache.put(key("a"), entry("x" * (LIMIT // 16)))
    assert (len(cache), cache.bytes) == (0, 0)


def test_an_entry_replaces_the_previous_one_of_its_key(cache: ResponseCache) -> None:
    cache.put(key("a"), entry("first"))
    size = cache.bytes
    cache.put(key("a"), second := entry("other"))
    assert cache.find(key("a")) is second
    assert (len(cache), cache.bytes, cache.evictions) == (1, size, 0)


def test_invalid_entries_are_removed_little_by_little(pointers: FakePointers) -> None:
    cache = ResponseCache(cast("PointerCache", pointers), 1 << 20)
    for n in range(3 * SWEEP_PER_INSERT):
        cache.put(key(f"old {n}"), entry(retail=1))
    cache.put(key("other"), entry(wholesale=1))
    pointers.move("retail", 2)
    sizes = []
    for n in range(5):
        cache.put(key(f"new {n}"), entry(retail=2))
        sizes.append(len(cache))
    assert sizes[0] >= 2 * SWEEP_PER_INSERT
    assert sizes[-1] == 6
    assert cache.find(key("other")) is not None


def test_the_headers_of_an_entry_shrink_as_a_scheduled_change_approaches(
    cache: ResponseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, clock = 1000.0, FixedClock(100.0)
    monkeypatch.setattr("graph.cache.response_cache.time.monotonic", lambda: now)
    change = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    cache.put(key("a"), entry_of(CacheControl(60, 30), change, clock))

    def header_after(seconds: float) -> bytes:
        nonlocal now
        now, clock.left = 1000.0 + seconds, 100.0 - seconds
        found = cache.find(key("a"))
        assert found is not None
        assert [name for name, _ in found.headers] == [b"etag", b"cache-control"]
        return found.headers[-1][1]

    for seconds, freshness in (
        (0, b"max-age=60, stale-while-revalidate=30"),
        (8.9, b"max-age=60, stale-while-revalidate=30"),
        (9.5, b"max-age=60, stale-while-revalidate=29"),
        (50, b"max-age=49, must-revalidate"),
        (98.5, b"max-age=0, must-revalidate"),
        (100, b"max-age=0, must-revalidate"),
        (200, b"max-age=0, must-revalidate"),
    ):
        assert header_after(seconds) == b"public, " + freshness, seconds
    assert cache.hits == 7


def test_a_response_is_not_confirmed_by_304_just_before_a_scheduled_change(
    cache: ResponseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, clock = 1000.0, FixedClock(100.0)
    monkeypatch.setattr("graph.cache.response_cache.time.monotonic", lambda: now)
    change = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for name, control in (("a", CacheControl(60)), ("uncached", CacheControl())):
        cache.put(key(name), entry_of(control, change, clock))
    for seconds, expected in ((0, True), (97.5, True), (98.5, False), (200, False)):
        now, clock.left = 1000.0 + seconds, 100.0 - seconds
        for name in ("a", "uncached"):
            found = cache.find(key(name))
            assert found is not None
            assert found.may_revalidate is (expected or name == "uncached"), (name, seconds)
