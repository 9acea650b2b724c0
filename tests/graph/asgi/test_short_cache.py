"""Functions of headers keep the results of short ones alone."""

import tracemalloc
from collections.abc import Callable

import pytest

from graph.asgi.media_types import accepted_media_types, is_json, is_utf_8
from graph.asgi.short_cache import MAX_CACHED_LENGTH, MAX_CACHED_RESULTS, cache_short
from graph.middleware.trusted_host import _is_loopback


def test_the_result_of_a_short_text_is_computed_once_and_that_of_a_long_one_each_time() -> None:
    calls: list[str] = []

    @cache_short
    def upper(text: str) -> str:
        calls.append(text)
        return text.upper()

    short, long = "a" * MAX_CACHED_LENGTH, "a" * (MAX_CACHED_LENGTH + 1)
    for _ in range(3):
        assert (upper(short), upper(long)) == (short.upper(), long.upper())
    assert calls == [short, long, long, long]


@pytest.mark.parametrize("function", [accepted_media_types, is_json, is_utf_8])
def test_long_headers_are_not_kept(function: Callable[[str], object]) -> None:
    assert kept_bytes(lambda number: function(f"application/json; n={number}".ljust(100_000))) < 100_000


def test_long_hosts_are_not_kept() -> None:
    assert kept_bytes(lambda number: _is_loopback(b"%d" % number + b"a" * 100_000)) < 100_000


def kept_bytes(call: Callable[[int], object]) -> int:
    """Return the memory that is held after many calls."""
    tracemalloc.start()
    for number in range(2 * MAX_CACHED_RESULTS):
        call(number)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used
