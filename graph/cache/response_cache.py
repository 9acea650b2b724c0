"""Answers, kept by the request that they answer, in a bounded number of bytes. They die with their version."""

from collections import OrderedDict
from collections.abc import Mapping

from graph.http.response import HTTPResponse
from graph.telemetry.requests import Answers
from loaders import PointerCache

Key = tuple[str, bytes, str, str]
"""Method, body or query string as it came, media type, scope."""

OVERHEAD = 1050
"""Bytes that an entry takes besides question and answer; what tracemalloc shows of CPython 3.11, rounded up."""

SWEEP_PER_INSERT = 64
"""Entries that are looked at for each that is put in, while those of old versions are taken out."""


class Entry:
    """An answer, its ETag, and the revisions of the pointers for as long as which it is true.

    `answers` is where the requests that it answers are counted.
    """

    __slots__ = ("answer", "answers", "etag", "revisions", "size")

    def __init__(self, answer: HTTPResponse, etag: bytes, revisions: Mapping[str, int], answers: Answers) -> None:
        self.answer = answer
        self.answers = answers
        self.etag = etag
        self.revisions = tuple(revisions.items())
        self.size = len(answer.body) + OVERHEAD

    def is_true(self, pointers: PointerCache) -> bool:
        """Whether no pointer has moved since; False while that is not known."""
        for name, revision in self.revisions:
            head = pointers.known(name)
            if head is None or head.revision != revision:
                return False
        return True


class ResponseCache:
    """The answers that were used last, in at most `max_bytes`; one takes at most a sixteenth of that.

    Every entry depends on the revisions of the pointers of all lists that it tells of, also those that it names a
    version of: retention takes a version away by moving its list's pointer to another revision.
    """

    def __init__(self, pointers: PointerCache, max_bytes: int) -> None:
        self._pointers = pointers
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._swept_for = pointers.moved
        self._to_sweep: list[Key] = []
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key) -> Entry | None:
        """Return what may be answered to a request; None where it has to be executed."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        if not entry.is_true(self._pointers):
            # While pointers are not pushed to this process nobody knows whether it is true; later it may be.
            if self._pointers.alive:
                self._drop(key)
            self.misses += 1
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an answer, unless it is too large."""
        self._sweep()
        self._drop(key)
        entry.size += len(key[1])
        if entry.size > self._max_bytes // 16:
            return
        self._entries[key] = entry
        self.bytes += entry.size
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self.evictions += 1

    def _sweep(self) -> None:
        """Take out some of what became untrue when a pointer moved, so that no request pays for all of it."""
        if not self._to_sweep and self._pointers.moved is not self._swept_for:
            self._swept_for = self._pointers.moved
            self._to_sweep = list(self._entries)
        for _ in range(min(SWEEP_PER_INSERT, len(self._to_sweep))):
            key = self._to_sweep.pop()
            entry = self._entries.get(key)
            if entry is not None and self._pointers.alive and not entry.is_true(self._pointers):
                self._drop(key)

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
