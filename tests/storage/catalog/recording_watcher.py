"""A recorder of the calls of a watcher."""

import asyncio
from collections.abc import Callable, Sequence

from storage import PriceList
from storage.catalog.watcher import Watcher
from storage.mongodb.connection import Database

DEADLINE_SECONDS = 20


class PointerRecorder:
    """Records the pointers that a watcher passes to its callback."""

    def __init__(self) -> None:
        self.moves: list[PriceList] = []
        self.reports: list[Sequence[PriceList]] = []
        self._changed = asyncio.Event()

    def __call__(self, pointers: Sequence[PriceList]) -> None:
        self.moves.extend(pointers)
        self.reports.append(pointers)
        self._changed.set()

    async def until(self, probe: Callable[[], bool]) -> None:
        """Wait until the recorded pointers make the probe true."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not probe():
                self._changed.clear()
                await self._changed.wait()

    async def until_revision(self, revision: int, price_list: str = "retail") -> None:
        await self.until(lambda: (price_list, revision) in {(move.name, move.revision) for move in self.moves})

    def revisions(self, price_list: str = "retail") -> list[int]:
        return [move.revision for move in self.moves if move.name == price_list]


def watching(db: Database, recorder: PointerRecorder) -> Watcher:
    """A watcher with one subscriber, which is not started."""
    watcher = Watcher(db)
    watcher.subscribe(recorder)
    return watcher
