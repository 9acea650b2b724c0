"""Warming: brings the blocks of a new version into memory before the process switches to it, and whole lists."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Sequence
from functools import partial

from loaders.cache.version_cache import CachedVersion, VersionCache
from loaders.cache.version_reader import VersionReader
from storage import CachedLayer, Layer, PriceList, Snapshot, Store, raise_if_unreadable, yield_to_loop

log = logging.getLogger("pricebook.warming")

MAX_IDLE_VERSIONS = 10
"""A list is no longer warmed after this many consecutive versions that no request read."""

ROW_BYTES = 20
"""Memory of a compressed row, about: a list that exceeds its limit by this estimate is not loaded whole."""

LOAD_INTERVAL_SECONDS = 60.0
"""Pause before blocks that were evicted, or did not fit, are loaded again with the whole list."""

BLOCKS_PER_FIND = 250
"""Blocks to load in one round trip: some 300 KB."""

MAX_CONCURRENT_LOADS = 2
"""Such round trips of one load at once."""

LOOKUPS_PER_STEP = 1000
"""Blocks whose place in the version before is looked up before other tasks may run: less than a millisecond."""

DECODED_PER_STEP = 8
"""Blocks to decode before other tasks may run: less than a millisecond."""

MAX_PREFETCHES = 16
"""Pages that are fetched ahead at once, in a process."""

MANIFEST_POLL_INTERVAL_SECONDS = 0.05
"""How often to look for a manifest that a newly elected primary may not yet have at majority."""


class Warmer:
    """Loads lists whole once they are read, warms new versions, and fetches the next pages of walks."""

    def __init__(self, store: Store, versions: VersionCache, reader: VersionReader) -> None:
        self._snapshots = store.snapshots
        self._blocks = store.block_cache
        self._memory = store.memory_reader
        self._query_reader = store.query_reader
        self._versions = versions
        self._reader = reader
        self._tasks: set[asyncio.Task[None]] = set()
        self._prefetches = 0

    async def stop(self) -> None:
        """Cancel all loads."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- Whole lists

    def note_read(self, snapshot: Snapshot) -> None:
        """Note that a version is read from the database. If it is current and may fit, load all of it."""
        cached = self._versions.get_or_add(snapshot)
        cached.was_read = True
        now = asyncio.get_running_loop().time()
        if cached.loading or now < cached.retry_at or not self._versions.is_current(cached):
            return
        cached.retry_at = now + LOAD_INTERVAL_SECONDS
        rows = sum(layer.count for layer in snapshot.layers)
        if rows * ROW_BYTES <= self._blocks.frame_limit:
            cached.loading = self._start(self._load_whole(cached), f"load of {snapshot.price_list}")

    async def _load_whole(self, cached: CachedVersion) -> None:
        async def load(layers: Sequence[Layer]) -> None:
            for layer in await self._query_reader.layers(layers):
                if not await self._load(layer, range(len(layer.directory))):
                    return

        try:
            await self._reader.read(cached.snapshot, load)
        except Exception as error:
            log.warning("Loading the whole of %s failed: %s", cached.snapshot.price_list, error)
        finally:
            cached.loading = None

    async def _load(self, layer: CachedLayer, indexes: Sequence[int]) -> bool:
        """Load blocks of a layer. Returns False if they do not fit."""
        runs = _runs(indexes, BLOCKS_PER_FIND)

        async def load_runs() -> bool:
            for run in runs:
                if not await self._query_reader.load(layer, run):
                    return False
            return True

        return all(await asyncio.gather(*(load_runs() for _ in range(MAX_CONCURRENT_LOADS))))

    # -- New versions

    def is_read(self, price_list: str) -> bool:
        """Whether requests read a list, so that its next version is to be warmed."""
        return self._versions.current(price_list) is not None

    def start(self, pointer: PriceList) -> asyncio.Task[None]:
        """Warm the version that a pointer names, based on the current one."""
        return self._start(self._warm(pointer, self._versions.current(pointer.name)), f"warming of {pointer.name}")

    async def _warm(self, pointer: PriceList, base: CachedVersion | None) -> None:
        version = pointer.current_version
        if version is None or base is None or base.snapshot.version == version:
            return
        if base.idle_versions >= MAX_IDLE_VERSIONS:
            return
        try:
            cached = self._versions.get_or_add(await self._manifest(pointer.name, version))
            cached.idle_versions = 0 if base.was_read else base.idle_versions + 1
            await self._reader.read(cached.snapshot, partial(self._load_as, base))
        except Exception as error:
            log.warning("Warming of version %s of %s failed: %s", version, pointer.name, error)

    async def preload(self, price_list: str, layer: Layer) -> bool:
        """Load the layer of a version that is about to be published, as far as the current version is in memory.

        Returns False if the list is not read. Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        base = self._versions.current(price_list)
        if base is None or base.idle_versions >= MAX_IDLE_VERSIONS:
            return False
        await self._load_as(base, [layer])
        return True

    async def _manifest(self, price_list: str, version: int) -> Snapshot:
        while True:
            snapshot = raise_if_unreadable((await self._snapshots.get_many([(price_list, version)]))[0])
            if snapshot is not None and snapshot.published_at is not None:
                return snapshot
            await asyncio.sleep(MANIFEST_POLL_INTERVAL_SECONDS)

    async def _load_as(self, base: CachedVersion, layers: Sequence[Layer]) -> None:
        """Bring into memory, of the layers that a version adds to its base, what is in memory of the base."""
        before = self._memory.stack(base.snapshot.layers)
        if before is None:
            return
        added = [layer for layer in await self._query_reader.layers(layers) if layer not in before]
        for layer in added:
            await self._share(layer, before)
            loaded, decoded = await _as_in(before[-1], layer)
            if not await self._load(layer, loaded):
                return
            # Takes twice as long as all before, and the process can turn to the version without it.
            self._start(self._decode(layer, decoded), "decoding")

    async def _share(self, layer: CachedLayer, before: Sequence[CachedLayer]) -> None:
        """Take over equal blocks of other layers from memory."""
        for other in reversed(before):
            for run in _runs(range(len(layer.directory)), LOOKUPS_PER_STEP):
                self._blocks.share(layer, run, other)
                await yield_to_loop()

    async def _decode(self, layer: CachedLayer, indexes: Sequence[int]) -> None:
        """Decode blocks while there is room for more."""
        for run in _runs(indexes, DECODED_PER_STEP):
            for index in run:
                if self._blocks.decoded_bytes >= self._blocks.decoded_limit:
                    return
                self._blocks.admit(layer, index)
            await yield_to_loop()

    # -- Walks

    def prefetch(
        self, snapshot: Snapshot, limit: int, *, after: str | None = None, before: str | None = None, backward: bool
    ) -> None:
        """Bring the blocks of a page into memory in the background."""
        if self._prefetches < MAX_PREFETCHES and self._blocks.frame_limit:
            read = partial(self._query_reader.load_page, limit=limit, after=after, before=before, backward=backward)
            self._prefetches += 1
            self._start(self._prefetch(snapshot, read), f"prefetch of {snapshot.price_list}")

    async def _prefetch(self, snapshot: Snapshot, read: "partial[Coroutine[None, None, None]]") -> None:
        try:
            await self._reader.read(snapshot, read)
        except Exception as error:
            log.warning("Fetching a page of %s ahead failed: %s", snapshot.price_list, error)
        finally:
            self._prefetches -= 1


async def _as_in(base: CachedLayer, layer: CachedLayer) -> tuple[list[int], list[int]]:
    """Return the blocks of a layer where its base is in memory, and those where it is decoded, unless they are so."""
    loaded, decoded = list[int](), list[int]()
    if not len(base.directory):
        return list(range(len(layer.directory))), decoded
    for run in _runs(range(len(layer.directory)), LOOKUPS_PER_STEP):
        for index in run:
            there = max(0, base.directory.index(layer.directory.firsts[index]))
            if base.has(there):
                loaded.append(index)
                if base.is_decoded(there) and not layer.is_decoded(index):
                    decoded.append(index)
        await yield_to_loop()
    return loaded, decoded


def _runs(indexes: Sequence[int], length: int) -> Iterator[Sequence[int]]:
    return (indexes[start : start + length] for start in range(0, len(indexes), length))
