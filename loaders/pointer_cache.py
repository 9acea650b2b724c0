"""The pointers in memory: the current version of each list, as the watcher reports it."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from loaders.cache.move_cache import MoveCache
from loaders.cache.pointer_switch import PointerSwitch
from loaders.cache.version_cache import VersionCache
from loaders.cache.version_reader import VersionReader
from loaders.cache.warmer import Warmer
from loaders.diffs import DiffSummaries
from loaders.min_versions import NONE, MinVersions
from loaders.read_marks import ReadMarks
from storage import DatabaseClock, Histogram, PriceList, PriceListNotFound, Store, VersionNotReached

MIN_VERSION_TIMEOUT_SECONDS = 5.0
"""How long a request waits for its minimum version."""

POINTER_POLL_INTERVAL_SECONDS = 0.1
"""How often such a request checks the pointers again while the watcher's stream is down."""

PUSH_TIMEOUT_SECONDS = 3.0
"""How long to wait until a move is pushed to this process and its version is warm, before the pointers are read."""

LAG_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of `PointerCache.lag`, in seconds."""

Pointers = Mapping[str, PriceList]
"""The pointers of all lists, tombstones included, as they were at one moment. It is replaced as a whole, and never
changed: a request that takes it once sees all lists as they were then."""


class PointerCache:
    """The pointers of all price lists, and the cached versions that they name; one instance per process.

    `served` are the pointers that this process serves. They are followed in memory while the watcher's stream is alive,
    and read from the database otherwise. Published versions are switched to once they are warm: all lists of a release
    together, and lists in the order in which they moved. Of a deleted list the tombstone is kept, so that no older
    pointer brings the list back.
    `moved` is set, and replaced by a new event, whenever the process serves another revision of a pointer. `lag` is
    the histogram of the seconds from the move of a pointer by another process to that switch. `clock` estimates the
    time of the database, which decides when a pointer is due to move; the heartbeat samples it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.served: Pointers = {}
        self._unpushed: dict[str, int] = {}
        """By list, the last revision that this process wrote or read itself."""
        self.versions = VersionCache(store.block_cache)
        self.reader = VersionReader(store, self.versions)
        self.warmer = Warmer(store, self.versions, self.reader)
        self._switch = PointerSwitch(self.warmer, self._served, self._serve)
        self._watcher = store.watcher
        self._watcher.subscribe(self._switch.follow)
        self._reading: asyncio.Task[None] | None = None
        self._next_reading: asyncio.Task[None] | None = None
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
        self._switch.cancel()
        await self.warmer.stop()

    @property
    def alive(self) -> bool:
        """Whether pointers are being pushed to this process."""
        return self._watcher.alive

    def _served(self, name: str) -> PriceList | None:
        return self.served.get(name)

    def _serve(self, pointers: Sequence[PriceList]) -> None:
        """Turn to the newer pointers of one moment, all at once."""
        before = self.served
        self.served = {**before, **{pointer.name: pointer for pointer in pointers}}
        for pointer in pointers:
            self._note_switch(before.get(pointer.name), pointer)
        self.moved.set()
        self.moved = asyncio.Event()

    def _note_switch(self, before: PriceList | None, pointer: PriceList) -> None:
        if before and before.current_version is not None and before.current_version != pointer.current_version:
            self.reads.note(pointer.name, before.current_version)
        if pointer.deletion:
            self.versions.drop(pointer.name)
        else:
            self.versions.set_current(pointer.name, pointer.current_version)
        if before is not None and pointer.revision > self._unpushed.get(pointer.name, 0):
            self.lag.add(max(0.0, time.time() - pointer.moved_at.timestamp()))

    def price_lists(self) -> list[PriceList]:
        """Return all known lists, as this process serves them."""
        return [pointer for pointer in self.served.values() if not pointer.deletion]

    def revisions(self) -> dict[str, int]:
        """Return the pointer revision of each list that this process serves."""
        return {pointer.name: pointer.revision for pointer in self.price_lists()}

    async def wait_for_move(self, name: str, revision: int) -> PriceList:
        """Return a list once this process serves a later revision of its pointer.

        Raises `PriceListNotFound` once the list is deleted.
        """
        pointer = await self._wait_for_revision(name, revision + 1)
        if pointer.deletion:
            raise PriceListNotFound(name)
        return pointer

    async def wait_for_change(self, seen: Pointers) -> Pointers:
        """Return the pointers of all lists once this process serves others than those seen; see `served`."""
        while self.served is seen:
            await self.moved.wait()
        return self.served

    async def _wait_for_revision(self, name: str, revision: int) -> PriceList:
        while True:
            moved, pointer = self.moved, self.served.get(name)
            if pointer is not None and pointer.revision >= revision:
                return pointer
            await moved.wait()

    async def switch_to(self, revisions: Mapping[str, int]) -> None:
        """Return when this process serves these revisions of the pointers of lists, or later ones.

        They are waited for, and not served before they are pushed: others that moved earlier may not be pushed yet.
        """
        for name, revision in revisions.items():
            self._unpushed[name] = max(revision, self._unpushed.get(name, 0))
        if self.alive:
            with suppress(TimeoutError):
                async with asyncio.timeout(PUSH_TIMEOUT_SECONDS):
                    for name, revision in revisions.items():
                        await self._wait_for_revision(name, revision)
                    return
        await self._read()

    def known(self, name: str) -> PriceList | None:
        """Return a list from memory, or None if it is not known, is deleted, or the watcher's stream is down."""
        pointer = self.served.get(name) if self._watcher.alive else None
        return None if pointer is None or pointer.deletion else pointer

    async def current(self) -> Pointers:
        """Return the pointers of all lists. They are read if the watcher's stream is down."""
        if not self.alive:
            await self._read()
        return self.served

    async def _read(self) -> None:
        """Read all pointers at one moment that has not begun yet, and serve them. Readers at once share this."""
        if self._next_reading is None:
            self._next_reading = asyncio.create_task(self._read_after(self._reading), name="read of all pointers")
            self._next_reading.add_done_callback(_mark_retrieved)
        await asyncio.shield(self._next_reading)

    async def _read_after(self, earlier: "asyncio.Task[None] | None") -> None:
        if earlier:  # what it returns may be older than what a later reader knows of
            await asyncio.wait([earlier])
        self._reading, self._next_reading = self._next_reading, None
        pointers = await self._watcher.read()
        for pointer in pointers:
            self._unpushed[pointer.name] = max(pointer.revision, self._unpushed.get(pointer.name, 0))
        self._switch.follow_now(pointers)

    async def current_with(self, name: str, min_versions: MinVersions = NONE) -> Pointers | None:
        """Return the pointers of all lists once one has its minimum version published; None if there is no such list.

        Raises `VersionNotReached` after `MIN_VERSION_TIMEOUT_SECONDS`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + MIN_VERSION_TIMEOUT_SECONDS
        while True:
            moved, pointers = self.moved, await self.current()
            found = pointers.get(name)
            if found is None or found.deletion:
                if not await self._is_created(name):
                    return None
                continue
            if min_versions.is_reached_by(found):
                return pointers
            if loop.time() >= deadline:
                minimum = min_versions.minimum(name)
                raise VersionNotReached(name, minimum, found.published_version, MIN_VERSION_TIMEOUT_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(POINTER_POLL_INTERVAL_SECONDS):
                    await moved.wait()

    async def _is_created(self, name: str) -> bool:
        """Whether a list exists that is not served yet; returns when it is."""
        created = await self._store.price_lists.find(name)
        if created is not None:
            await self.switch_to({name: created.revision})
        return created is not None

    async def get(self, name: str) -> PriceList:
        """Return a list. Raises `PriceListNotFound`."""
        pointers = await self.current_with(name)
        if pointers is None:
            raise PriceListNotFound(name)
        return pointers[name]


def _mark_retrieved(task: asyncio.Task[None]) -> None:
    """Have asyncio not log the error of a task if every caller was cancelled."""
    if not task.cancelled():
        task.exception()
