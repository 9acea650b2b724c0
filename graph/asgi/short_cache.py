"""A cache for functions of headers. Callers choose the length of a header: long ones are not cached."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

MAX_CACHED_LENGTH = 128
"""Length of a header whose result is cached; those that clients commonly send are shorter."""

MAX_CACHED_RESULTS = 256
"""Number of results that a function keeps."""

Text = TypeVar("Text", str, bytes)
R = TypeVar("R")


def cache_short(function: Callable[[Text], R]) -> Callable[[Text], R]:
    """Cache the results of a function for short arguments, and compute it each time for longer ones."""
    cached = lru_cache(MAX_CACHED_RESULTS)(function)

    @wraps(function)
    def look_up(text: Text) -> R:
        return cached(text) if len(text) <= MAX_CACHED_LENGTH else function(text)

    return look_up
