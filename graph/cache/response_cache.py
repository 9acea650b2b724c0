"""The response cache: an LRU cache bounded by bytes. Pointer moves invalidate the entries that depend on them."""

import time
from collections.abc import Mapping

from graph.asgi.headers import Headers
from graph.cache.cache_control import CachePolicy
from graph.telemetry.requests import OperationStats
from loaders import LRU, PointerCache

Key = tuple[str, bytes, str, str]
"""Method, body or query string as received, media type, and the scope of the caller."""

ENTRY_OVERHEAD_BYTES = 1050
"""Memory of an entry besides its request and response bodies: as tracemalloc shows in CPython 3.11, rounded up."""

SWEEP_PER_INSERT = 64
"""Entries checked on each insert, while invalid entries are removed."""


class Entry:
    """A response with status 200, its ETag, and the pointer revisions at which it is valid.

    The first two headers describe the body; a response without a body omits them. The last ones are those of `policy`:
    they, and whether 304 may replace the response (`may_revalidate`), are right until `renew_at`, by the monotonic
    clock. `stats` counts the requests that the entry serves.
    """

    __slots__ = ("_policy", "body", "etag", "headers", "may_revalidate", "renew_at", "revisions", "size", "stats")

    def __init__(
        self, headers: Headers, body: bytes, policy: CachePolicy, revisions: Mapping[str, int], stats: OperationStats
    ) -> None:
        self.headers = headers
        self.body = body
        self.stats = stats
        self.etag = policy.etag
        self.revisions = tuple(revisions.items())
        self.size = len(body) + ENTRY_OVERHEAD_BYTES
        self.may_revalidate = True
        self.renew_at: float | None = None
        self._policy: CachePolicy | None = None
        if policy.next_change_at and not policy.immutable:
            self._policy = policy
            self.renew()

    def renew(self) -> None:
        """Replace the headers of the policy by those for the time that is left now."""
        if self._policy is not None:
            headers, self.may_revalidate, seconds = self._policy.freshness()
            self.headers = [*self.headers[: -len(headers)], *headers]
            self.renew_at = time.monotonic() + seconds

    def is_valid(self, pointers: PointerCache) -> bool:
        """Whether no pointer has moved since; False if that is unknown."""
        for name, revision in self.revisions:
            pointer = pointers.known(name)
            if pointer is None or pointer.revision != revision:
                return False
        return True


class ResponseCache:
    """The most recently used responses, in at most `max_bytes`. One entry takes at most a sixteenth of that.

    Every entry depends on the pointer revisions of all lists that it reads, even if the request names a version:
    expiring a version also changes the revision of its list.
    """

    def __init__(self, pointers: PointerCache, max_bytes: int) -> None:
        self._pointers = pointers
        self._entries: LRU[Key, Entry] = LRU(max_bytes, lambda _, entry: entry.size)
        self._swept_for = pointers.moved
        self._to_sweep: list[Key] = []
        self.hits = 0
        self.misses = 0

    @property
    def bytes(self) -> int:
        """The bytes that the entries take."""
        return self._entries.weight

    @property
    def evictions(self) -> int:
        """How many entries were dropped to make room."""
        return self._entries.evictions

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key) -> Entry | None:
        """Return the valid entry of a request; None if the request must be executed."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        if not entry.is_valid(self._pointers):
            # While pointers are not pushed to this process, validity is unknown; the entry may be valid again later.
            if self._pointers.alive:
                self._entries.pop(key)
            self.misses += 1
            return None
        if entry.renew_at is not None and time.monotonic() >= entry.renew_at:
            entry.renew()
        self.hits += 1
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Add an entry, unless it is too large."""
        self._sweep()
        self._entries.pop(key)
        entry.size += len(key[1])
        if entry.size <= self._entries.capacity // 16:
            self._entries.put(key, entry)

    def _sweep(self) -> None:
        """Remove some of the entries that a pointer move made invalid, so that no request pays for all of them."""
        if not self._to_sweep and self._pointers.moved is not self._swept_for:
            self._swept_for = self._pointers.moved
            self._to_sweep = list(self._entries)
        for _ in range(min(SWEEP_PER_INSERT, len(self._to_sweep))):
            key = self._to_sweep.pop()
            entry = self._entries.peek(key)
            if entry is not None and self._pointers.alive and not entry.is_valid(self._pointers):
                self._entries.pop(key)
