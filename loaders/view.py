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
        self._read: dict[str, PriceList | None] = {}

    async def find(self, name: str) -> PriceList | None:
        """Return the list as this request sees it, or None."""
        if name not in self._seen:
            self._seen[name] = asyncio.ensure_future(self._heads.find(name))
        return await self._seen[name]

    def forget(self, name: str) -> None:
        """See the list anew, after a mutation of this request moved its pointer."""
        self._seen.pop(name, None)

    def followed(self) -> dict[str, PriceList | None]:
        """Return the lists whose pointer this request followed, as it sees them."""
        return {name: seen.result() for name, seen in self._seen.items()}

    def revisions(self) -> dict[str, int] | None:
        """Return, by list, the revision of the pointer as long as which all that was read is as it was.

        A version that is read by its number can be taken by retention, which moves the pointer to another revision.
        None where a revision is not known.
        """
        revisions: dict[str, int] = {}
        for head in (*self._read.values(), *self.followed().values()):
            if head is None:
                return None
            revisions[head.name] = min(head.revision, revisions.get(head.name, head.revision))
        return revisions

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
        if name not in self._read:
            self._read[name] = self._heads.known(name)
        snapshot = await self._snapshots.load((name, version))
        if snapshot is None:
            if await self.find(name) is None:
                raise PriceListNotFound(name)
            raise SnapshotNotFound(name, version)
        if snapshot.state is SnapshotState.RETIRED:
            raise SnapshotExpired(name, version)
        return snapshot
