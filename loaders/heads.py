"""The pointers in memory: which version of each list is current, as the watcher tells it."""

import asyncio

from storage import PriceList, PriceListNotFound, Store, Watcher


class Heads:
    """All price lists with their pointers, one set a process.

    A pointer is answered from memory while the watcher's stream is alive, and read from the database otherwise.
    `moved` is set, and replaced by another, whenever one of them moves.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heads: dict[str, PriceList] = {}
        self._watcher = Watcher(store.db, self.observe)
        self.moved = asyncio.Event()

    async def start(self) -> None:
        """Begin to follow the pointers; returns when all of them are known."""
        await self._watcher.start()

    async def stop(self) -> None:
        """Follow them no longer."""
        await self._watcher.stop()

    @property
    def alive(self) -> bool:
        """Whether pointers are being pushed to this process."""
        return self._watcher.alive

    def observe(self, head: PriceList) -> None:
        """Take note of a pointer; one that is older than what is known changes nothing."""
        known = self._heads.get(head.name)
        if known is None or head.revision > known.revision:
            self._heads[head.name] = head
            self.moved.set()
            self.moved = asyncio.Event()

    def revisions(self) -> dict[str, int]:
        """Return the revision of every pointer that is known here."""
        return {name: head.revision for name, head in self._heads.items()}

    async def beyond(self, name: str, revision: int) -> PriceList:
        """Return a list once its pointer is beyond a revision."""
        while True:
            moved, known = self.moved, self._heads.get(name)
            if known is not None and known.revision > revision:
                return known
            await moved.wait()

    def known(self, name: str) -> PriceList | None:
        """Return a list as it is now; None where that is not known without asking, as while the stream is down."""
        return self._heads.get(name) if self._watcher.alive else None

    async def find(self, name: str) -> PriceList | None:
        """Return a list as it is now, or None. A list that is not known here yet is looked up."""
        known = self.known(name)
        if known is not None:
            return known
        found = await self._store.pointers.find(name)
        if found is not None:
            self.observe(found)
        return found

    async def get(self, name: str) -> PriceList:
        """Return a list as it is now. Raises `PriceListNotFound`."""
        found = await self.find(name)
        if found is None:
            raise PriceListNotFound(name)
        return found
