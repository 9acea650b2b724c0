"""The pointers in memory: which version of each list is current, as the watcher tells it."""

import asyncio
import time
from contextlib import suppress

from loaders.cache.version_cache import DEFAULT_CACHE_BYTES, VersionCache
from loaders.cache.version_switch import VersionSwitch
from loaders.cache.warmer import Warmer
from loaders.diffs import DiffSummaries
from loaders.min_versions import NONE, MinVersions
from loaders.read_marks import ReadMarks
from storage import Histogram, PriceList, PriceListNotFound, Store, VersionNotReached, Watcher

# A request waits so long, in seconds, for the version that it wants to see at the least. Meanwhile the pointer is
# looked at so often while nobody pushes it.
REACH_SECONDS = 5.0
CHECK_INTERVAL_SECONDS = 0.1

LAG_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)


class PointerCache:
    """All price lists with their pointers, one set a process, and what is in memory of the versions that they name.

    A pointer is answered from memory while the watcher's stream is alive, and read from the database otherwise.
    To a version that was published the process turns when it is warm; to an earlier one, which is to hold, at once.
    `moved` is set, and replaced by another, whenever the process answers by another revision of a pointer. `lag`
    counts how long after a pointer moved that was, where another process moved it.
    """

    def __init__(self, store: Store, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self._store = store
        self._pointers: dict[str, PriceList] = {}
        self._turnings: dict[str, VersionSwitch] = {}
        self._watcher = Watcher(store.db, self.observe)
        self.versions = VersionCache(cache_bytes)
        self.warmer = Warmer(store, self.versions)
        self.summaries = DiffSummaries()
        self.reads = ReadMarks(store.grace / 4)
        self.moved = asyncio.Event()
        self.lag = Histogram(LAG_BOUNDS)

    async def start(self) -> None:
        """Begin to follow the pointers; returns when all of them are known."""
        await self._watcher.start()

    async def stop(self) -> None:
        """Follow them no longer."""
        await self._watcher.stop()
        for turning in self._turnings.values():
            turning.cancel()
        self._turnings.clear()
        await self.warmer.stop()

    @property
    def alive(self) -> bool:
        """Whether pointers are being pushed to this process."""
        return self._watcher.alive

    def observe(self, head: PriceList) -> None:
        """Take note of a pointer; one that is older than what is known changes nothing."""
        known, turning = self._pointers.get(head.name), self._turnings.get(head.name)
        if known is None or not self._wants_warming(known, head):
            self._turn(head)
        elif turning is None:
            self._turnings[head.name] = VersionSwitch(head, self.warmer, self._answer_by, self._turned)
        else:
            turning.follow(head)

    def _wants_warming(self, known: PriceList, head: PriceList) -> bool:
        published = head.published_version > known.published_version and head.current_version == head.published_version
        return published and self.versions.current(head.name) is not None

    def _turn(self, head: PriceList) -> None:
        """Answer by a pointer at once, whatever was being warmed."""
        known = self._pointers.get(head.name)
        if known is None or head.revision > known.revision:
            turning = self._turnings.pop(head.name, None)
            if turning:
                turning.cancel()
            self._answer_by(head)

    def _turned(self, name: str) -> None:
        del self._turnings[name]

    def _answer_by(self, head: PriceList) -> None:
        known = self._pointers.get(head.name)
        if known and known.current_version is not None and known.current_version != head.current_version:
            self.reads.note(head.name, known.current_version)
        self._pointers[head.name] = head
        self.versions.turn(head.name, head.current_version)
        if head.moved_at is not None:
            self.lag.add(max(0.0, time.time() - head.moved_at.timestamp()))
        self.moved.set()
        self.moved = asyncio.Event()

    def price_lists(self) -> list[PriceList]:
        """Return the lists that are known, as this process answers by them."""
        return list(self._pointers.values())

    def revisions(self) -> dict[str, int]:
        """Return the revision of every pointer that this process answers by."""
        return {name: head.revision for name, head in self._pointers.items()}

    async def beyond(self, name: str, revision: int) -> PriceList:
        """Return a list once this process answers by its pointer beyond a revision."""
        while True:
            moved, known = self.moved, self._pointers.get(name)
            if known is not None and known.revision > revision:
                return known
            await moved.wait()

    async def turn_to(self, head: PriceList) -> None:
        """Take note of a pointer; returns when this process answers by it, or by a later one."""
        self.observe(head)
        await self.beyond(head.name, head.revision - 1)

    def known(self, name: str) -> PriceList | None:
        """Return a list as it is now; None where that is not known without asking, as while the stream is down."""
        return self._pointers.get(name) if self._watcher.alive else None

    async def find(self, name: str) -> PriceList | None:
        """Return a list as it is now, or None. A list that is not known here yet is looked up."""
        known = self.known(name)
        if known is not None:
            return known
        found = await self._store.price_lists.find(name)
        if found is None:
            return None
        self._turn(found)
        return self._pointers[name]

    async def get(self, name: str) -> PriceList:
        """Return a list as it is now. Raises `PriceListNotFound`."""
        found = await self.find(name)
        if found is None:
            raise PriceListNotFound(name)
        return found

    async def reach(self, name: str, min_versions: MinVersions = NONE) -> PriceList | None:
        """Return a list as it is now, or None, once this process has seen published of it what is wanted.

        Raises `VersionNotReached` when it has not within `REACH_SECONDS`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + REACH_SECONDS
        while True:
            moved = self.moved
            found = await self.find(name)
            if found is None or min_versions.reached(found):
                return found
            if loop.time() >= deadline:
                wanted = min_versions.least(name)
                raise VersionNotReached(name, wanted, found.published_version, REACH_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL_SECONDS):
                    await moved.wait()
