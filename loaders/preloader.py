"""Preloads scheduled versions: their new layers are in memory before they are due, so that the switch loads nothing."""

import asyncio
import datetime
import logging
from contextlib import suppress

from loaders.pointer_cache import PointerCache
from storage import Batch, Store, is_cancelled

log = logging.getLogger("pricebook.warming")

PRELOAD_SECONDS = 60.0
"""How long before it is due a version is preloaded. One that is scheduled later is preloaded at once."""

MAX_PRELOADS = 1000
"""Number of batches that are preloaded at once: the first that are due."""

MIN_INTERVAL_SECONDS = 1.0
"""Least time between two looks at what is due soon, however often pointers move."""

RETRY_SECONDS = 5.0
"""Time until a look that failed is repeated."""

RELEASE_SECONDS = 60.0
"""How long a preloaded layer is kept in memory after its batch was no longer due soon, unless a version has it."""


class Preloader:
    """Brings the layers of scheduled versions into memory, as far as the current versions of their lists are."""

    def __init__(self, store: Store, pointers: PointerCache) -> None:
        self._batches = store.batches
        self._pointers = pointers
        self._handled: dict[str, int] = {}
        """By list, the revision at which what is due soon was preloaded."""
        self._preloaded: dict[str, tuple[str, float]] = {}
        """By layer, its list, and when its batch was last seen to be due soon, by the clock of the event loop."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the background task."""
        self._task = asyncio.create_task(self._run(), name="preloading")

    async def stop(self) -> None:
        """Cancel the background task."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        delay = 0.0
        while not is_cancelled():
            await asyncio.sleep(delay)
            moved, delay = self._pointers.moved, MIN_INTERVAL_SECONDS
            wait = self._seconds_to_wait()
            if wait is not None and wait <= 0:
                if not await self._try_to_preload():
                    delay = RETRY_SECONDS
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await moved.wait()

    async def _try_to_preload(self) -> bool:
        try:
            return await self.preload()
        except Exception as error:
            log.warning("Preloading scheduled versions failed: %s", error)
            return False

    def _seconds_to_wait(self) -> float | None:
        """Return the seconds until there is something to preload or to release; None if nothing is scheduled."""
        waits = [
            self._pointers.clock.seconds_until(pointer.next_change_at) - PRELOAD_SECONDS
            for pointer in self._pointers.price_lists()
            if pointer.next_change_at and self._handled.get(pointer.name) != pointer.revision
        ]
        if self._preloaded:
            oldest = min(seen_at for _, seen_at in self._preloaded.values())
            waits.append(oldest + RELEASE_SECONDS - asyncio.get_running_loop().time())
        return min(waits, default=None)

    async def preload(self) -> bool:
        """Preload the versions that are due soon, and release the layers of those that no longer are.

        Returns False if some could not be preloaded.
        """
        clock, now = self._pointers.clock, asyncio.get_running_loop().time()
        await clock.sample()
        revisions = {
            pointer.name: pointer.revision
            for pointer in self._pointers.price_lists()
            if pointer.next_change_at and clock.seconds_until(pointer.next_change_at) <= PRELOAD_SECONDS
        }
        soon = clock.now() + datetime.timedelta(seconds=PRELOAD_SECONDS)
        preloaded = [await self._preload(batch, now) for batch in await self._batches.due_before(soon, MAX_PRELOADS)]
        self._release(now)
        if all(preloaded):
            self._handled = revisions
        return all(preloaded)

    async def _preload(self, batch: Batch, now: float) -> bool:
        """Preload the layer of a batch. Returns False if it failed."""
        layer = batch.layer
        if layer is None:
            return True
        try:
            if layer.id in self._preloaded or await self._pointers.warmer.preload(batch.price_list, layer):
                self._preloaded[layer.id] = batch.price_list, now
        except Exception as error:
            log.warning("Preloading batch %s of %s failed: %s", batch.id, batch.price_list, error)
            return False
        return True

    def _release(self, now: float) -> None:
        """Drop the layers that were preloaded for batches that are not due soon any more, unless a version has them."""
        for layer, (price_list, seen_at) in list(self._preloaded.items()):
            if now - seen_at >= RELEASE_SECONDS:
                del self._preloaded[layer]
                self._pointers.versions.drop_unnamed_layer(price_list, layer)
