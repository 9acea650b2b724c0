"""The response cache: bounded in bytes, and what it holds is true."""

import asyncio
import datetime
from typing import cast

import pytest

from graph.cache.cache_control import CacheControl
from graph.cache.response_cache import OVERHEAD, SWEEP_PER_INSERT, Entry, Key, ResponseCache
from graph.http.response import json_response
from graph.telemetry.requests import Answers
from loaders import PointerCache
from storage import PriceList

LIMIT = 64 << 10


class FakePointers:
    """Heads that are where the test puts them."""

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
    kept = CacheControl().headers("anonymous", b'"e"', immutable=False)
    return Entry(json_response(text, cache_headers=kept), b'"e"', revisions or {"retail": 1}, Answers())


def test_an_answer_is_found_by_all_of_its_key(cache: ResponseCache) -> None:
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


def test_an_answer_dies_when_a_pointer_moves_that_it_depends_on(cache: ResponseCache, pointers: FakePointers) -> None:
    cache.put(key("a"), entry(retail=1))
    cache.put(key("b"), entry(wholesale=1))
    cache.put(key("both"), entry(retail=1, wholesale=1))
    pointers.move("wholesale", 2)
    assert [cache.find(key(name)) is not None for name in ("a", "b", "both")] == [True, False, False]
    assert len(cache) == 1
    pointers.move("retail", 2)
    assert cache.find(key("a")) is None
    assert (len(cache), cache.bytes) == (0, 0)


def test_nothing_is_answered_while_pointers_are_not_pushed(cache: ResponseCache, pointers: FakePointers) -> None:
    cache.put(key("a"), entry())
    pointers.alive = False
    assert cache.find(key("a")) is None
    pointers.alive = True
    assert cache.find(key("a")) is not None


def test_an_answer_about_a_list_that_is_not_known_is_not_given(cache: ResponseCache) -> None:
    cache.put(key("a"), entry(unknown=1))
    assert cache.find(key("a")) is None


def test_the_size_is_bounded_and_what_was_not_used_goes_first(cache: ResponseCache) -> None:
    for n in range(200):
        cache.put(key(f"{n}"), entry("x" * 500))
        assert cache.find(key("0")) is not None
        assert cache.bytes <= LIMIT
    assert cache.bytes == sum(kept.size for kept in cache._entries.values())
    assert cache.evictions == 200 - len(cache)
    assert cache.find(key("199")) is not None
    assert cache.find(key("1")) is None


def test_an_answer_counts_with_its_request_and_what_python_needs(cache: ResponseCache) -> None:
    cache.put(key("q" * 100), kept := entry("x" * 300))
    assert cache.bytes == 100 + len(kept.answer.body) + OVERHEAD


def test_an_answer_that_would_take_the_place_of_many_is_not_kept(cache: ResponseCache) -> None:
    cache.put(key("a"), entry("x" * (LIMIT // 16)))
    assert (len(cache), cache.bytes) == (0, 0)


def test_an_answer_takes_the_place_of_the_one_before(cache: ResponseCache) -> None:
    cache.put(key("a"), entry("first"))
    size = cache.bytes
    cache.put(key("a"), second := entry("other"))
    assert cache.find(key("a")) is second
    assert (len(cache), cache.bytes, cache.evictions) == (1, size, 0)


def test_answers_of_a_version_that_is_gone_give_their_memory_back_bit_by_bit(pointers: FakePointers) -> None:
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
