"""The view of a request: which version of each list it sees, decided once and kept to its end."""

import asyncio

from loaders.heads import Heads
from loaders.snapshots import SnapshotLoader
from storage import PriceList, PriceListNotFound, Snapshot, SnapshotExpired, SnapshotNotFound, SnapshotState


class View:
    """One request's view. The pointer of a list is read once, whatever is published meanwhile."""

    def __init__(self, heads: Heads, snapshots: SnapshotLoader) -> None:
        self._heads = heads
        self._snapshots = snapshots
        self._seen: dict[str, asyncio.Future[PriceList | None]] = {}

    async def find(self, name: str) -> PriceList | None:
        """Return the list as this request sees it, or None."""
        if name not in self._seen:
            self._seen[name] = asyncio.ensure_future(self._heads.find(name))
        return await self._seen[name]

    def forget(self, name: str) -> None:
        """See the list anew, after a mutation of this request moved its pointer."""
        self._seen.pop(name, None)

    async def current(self, name: str) -> Snapshot | None:
        """Return the version that is current to this request; None before a first batch was published.

        Raises `PriceListNotFound`.
        """
        head = await self.find(name)
        if head is None:
            raise PriceListNotFound(name)
        version = head.current_version
        return None if version is None else await self.version(name, version)

    async def find_version(self, name: str, version: int) -> Snapshot | None:
        """Return a version by its number; None where it is not kept any more."""
        snapshot = await self._snapshots.load((name, version))
        return None if snapshot is None or snapshot.state is SnapshotState.RETIRED else snapshot

    async def version(self, name: str, version: int) -> Snapshot:
        """Return a version by its number.

        Raises `PriceListNotFound`, `SnapshotNotFound`, and `SnapshotExpired` for one that retention took.
        """
        snapshot = await self._snapshots.load((name, version))
        if snapshot is None:
            if await self.find(name) is None:
                raise PriceListNotFound(name)
            raise SnapshotNotFound(name, version)
        if snapshot.state is SnapshotState.RETIRED:
            raise SnapshotExpired(name, version)
        return snapshot
