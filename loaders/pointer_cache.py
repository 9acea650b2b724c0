"""The pointers in memory: the current version of each list, as the watcher reports it."""

import asyncio
import time
from contextlib import suppress

from loaders.cache.move_cache import MoveCache
from loaders.cache.version_cache import VersionCache
from loaders.cache.version_reader import VersionReader
from loaders.cache.version_switch import VersionSwitch
from loaders.cache.warmer import Warmer
from loaders.diffs import DiffSummaries
from loaders.min_versions import NONE, MinVersions
from loaders.read_marks import ReadMarks
from storage import DatabaseClock, Histogram, PriceList, PriceListNotFound, Store, VersionNotReached

MIN_VERSION_TIMEOUT_SECONDS = 5.0
"""How long a request waits for its minimum version."""

POINTER_POLL_INTERVAL_SECONDS = 0.1
"""How often such a request checks the pointer again while the watcher's stream is down."""

LAG_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of `PointerCache.lag`, in seconds."""


class PointerCache:
    """The pointers of all price lists, and the cached versions that they name; one instance per process.

    Pointers are served from memory while the watcher's stream is alive, and read from the database otherwise. The
    process switches to a newly published version once it is warm, and to an earlier one (a rollback) at once. Of a
    deleted list it keeps the tombstone, so that no older pointer brings the list back.
    `moved` is set, and replaced by a new event, whenever the process serves another revision of a pointer. `lag` is
    the histogram of the seconds from the move of a pointer by another process to that switch. `clock` estimates the
    time of the database, which decides when a pointer is due to move; the heartbeat samples it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pointers: dict[str, PriceList] = {}
        self._switches: dict[str, VersionSwitch] = {}
        self._unpushed: dict[str, int] = {}
        """By list, the last revision that this process wrote or read itself."""
        self._watcher = store.watcher
        self._watcher.subscribe(self._follow)
        self.versions = VersionCache(store.block_cache)
        self.reader = VersionReader(store, self.versions)
        self.warmer = Warmer(store, self.versions, self.reader)
        self.summaries = DiffSummaries()
        self.moves = MoveCache(store)
        self.reads = ReadMarks(store.grace / 4)
        self.moved = asyncio.Event()
        self.lag = Histogram(LAG_BOUNDS)
        self.clock = DatabaseClock(store.client)

    async def start(self) -> None:
        """Start to follow the pointers; returns when all of them are known."""
        await self._watcher.start()

    async def stop(self) -> None:
        """Stop following the pointers, and cancel the warming of versions."""
        await self._watcher.stop()
        for switch in self._switches.values():
            switch.cancel()
        self._switches.clear()
        await self.warmer.stop()

    @property
    def alive(self) -> bool:
        """Whether pointers are being pushed to this process."""
        return self._watcher.alive

    def observe(self, pointer: PriceList) -> None:
        """Follow a pointer that this process moved, unless a newer revision is known."""
        self._note_unpushed(pointer)
        self._follow(pointer)

    def _note_unpushed(self, pointer: PriceList) -> None:
        self._unpushed[pointer.name] = max(pointer.revision, self._unpushed.get(pointer.name, 0))

    def _follow(self, pointer: PriceList) -> None:
        """Follow a pointer, as the watcher reports it."""
        known, switch = self._pointers.get(pointer.name), self._switches.get(pointer.name)
        if known is None or not self._should_warm(known, pointer):
            self._switch_now(pointer)
        elif switch is None:
            self._switches[pointer.name] = VersionSwitch(pointer, self.warmer, self._serve, self._finish_switch)
        else:
            switch.follow(pointer)

    def _should_warm(self, known: PriceList, pointer: PriceList) -> bool:
        is_published = known.published_version < pointer.published_version == pointer.current_version
        return is_published and self.versions.current(pointer.name) is not None

    def _switch_now(self, pointer: PriceList) -> None:
        """Serve a pointer at once, and cancel the warming of another version of its list."""
        known = self._pointers.get(pointer.name)
        if known is None or pointer.revision > known.revision:
            switch = self._switches.pop(pointer.name, None)
            if switch:
                switch.cancel()
            self._serve(pointer)

    def _finish_switch(self, name: str) -> None:
        del self._switches[name]

    def _serve(self, pointer: PriceList) -> None:
        known = self._pointers.get(pointer.name)
        if known and known.current_version is not None and known.current_version != pointer.current_version:
            self.reads.note(pointer.name, known.current_version)
        self._pointers[pointer.name] = pointer
        if pointer.deletion:
            self.versions.drop(pointer.name)
        else:
            self.versions.set_current(pointer.name, pointer.current_version)
        if known is not None and pointer.revision > self._unpushed.get(pointer.name, 0):
            self.lag.add(max(0.0, time.time() - pointer.moved_at.timestamp()))
        self.moved.set()
        self.moved = asyncio.Event()

    def price_lists(self) -> list[PriceList]:
        """Return all known lists, as this process serves them."""
        return [pointer for pointer in self._pointers.values() if not pointer.deletion]

    def revisions(self) -> dict[str, int]:
        """Return the pointer revision of each list that this process serves."""
        return {pointer.name: pointer.revision for pointer in self.price_lists()}

    async def wait_for_move(self, name: str, revision: int) -> PriceList:
        """Return a list once this process serves a later revision of its pointer.

        Raises `PriceListNotFound` once the list is deleted.
        """
        while True:
            moved, known = self.moved, self._pointers.get(name)
            if known is not None and known.revision > revision:
                if known.deletion:
                    raise PriceListNotFound(name)
                return known
            await moved.wait()

    async def switch_to(self, pointer: PriceList) -> None:
        """Follow a pointer; returns when this process serves it or a later revision. Raises `PriceListNotFound`."""
        self.observe(pointer)
        await self.wait_for_move(pointer.name, pointer.revision - 1)

    def known(self, name: str) -> PriceList | None:
        """Return a list from memory, or None if it is not known, is deleted, or the watcher's stream is down."""
        pointer = self._pointers.get(name) if self._watcher.alive else None
        return None if pointer is None or pointer.deletion else pointer

    async def find(self, name: str) -> PriceList | None:
        """Return a list, or None if it does not exist. Reads the database if it is not known."""
        known = self.known(name)
        if known is not None:
            return known
        found = await self._store.price_lists.find_with_deleted(name)
        if found is None:
            return None
        self._note_unpushed(found)
        self._switch_now(found)
        pointer = self._pointers[name]
        return None if pointer.deletion else pointer

    async def get(self, name: str) -> PriceList:
        """Return a list. Raises `PriceListNotFound`."""
        found = await self.find(name)
        if found is None:
            raise PriceListNotFound(name)
        return found

    async def wait_for_min_version(self, name: str, min_versions: MinVersions = NONE) -> PriceList | None:
        """Return a list once its minimum version is published, or None if there is no such list.

        Raises `VersionNotReached` after `MIN_VERSION_TIMEOUT_SECONDS`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + MIN_VERSION_TIMEOUT_SECONDS
        while True:
            moved = self.moved
            found = await self.find(name)
            if found is None or min_versions.is_reached_by(found):
                return found
            if loop.time() >= deadline:
                minimum = min_versions.minimum(name)
                raise VersionNotReached(name, minimum, found.published_version, MIN_VERSION_TIMEOUT_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(POINTER_POLL_INTERVAL_SECONDS):
                    await moved.wait()
