"""The view of a request: which version of each list it sees, decided once and kept to its end."""

import asyncio

from loaders.dataloaders import SnapshotByVersionLoader
from loaders.min_versions import NONE, MinVersions
from loaders.pointer_cache import PointerCache
from storage import PriceList, PriceListNotFound, Snapshot, SnapshotExpired, SnapshotNotFound, SnapshotState


class View:
    """One request's view. The pointer of a list is read once, whatever is published meanwhile.

    `min_versions` is what must have been published of a list before its pointer is read.
    """

    def __init__(
        self, pointers: PointerCache, snapshots: SnapshotByVersionLoader, min_versions: MinVersions = NONE
    ) -> None:
        self._pointers = pointers
        self._snapshots = snapshots
        self.min_versions = min_versions
        self._read: dict[str, PriceList | None] = {}
        self._seen: dict[str, PriceList] = {}
        self._finding: dict[str, asyncio.Future[PriceList | None]] = {}

    def known(self, name: str) -> PriceList | None:
        """Return the list as this request sees it, if that is in memory; None where `find` has to be asked."""
        seen = self._seen.get(name)
        if seen is None and name not in self._finding:
            head = self._pointers.known(name)
            if head is not None and self.min_versions.reached(head):
                seen = self._seen[name] = head
        return seen

    async def find(self, name: str) -> PriceList | None:
        """Return the list as this request sees it, or None. Raises `VersionNotReached`."""
        known = self.known(name)
        if known is not None:
            return known
        if name not in self._finding:
            self._finding[name] = asyncio.ensure_future(self._pointers.reach(name, self.min_versions))
        found = await asyncio.shield(self._finding[name])
        if found is not None:
            self._seen.setdefault(name, found)
        return found

    def forget(self, name: str) -> None:
        """See the list anew, after a mutation of this request moved its pointer."""
        self._seen.pop(name, None)
        self._finding.pop(name, None)

    def now(self, name: str) -> Snapshot | None:
        """Return the version that is current to this request, if it is in memory; None where `current` has to tell."""
        head = self.known(name)
        if head is None or head.current_version is None:
            return None
        return self._held(name, head.current_version)

    def followed(self) -> dict[str, PriceList | None]:
        """Return the lists whose pointer this request followed, as it sees them."""
        return {name: self._seen.get(name) for name in (*self._seen, *self._finding)}

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

        Raises `PriceListNotFound`, `VersionNotReached`.
        """
        head = await self.find(name)
        if head is None:
            raise PriceListNotFound(name)
        version = head.current_version
        return None if version is None else await self.version(name, version)

    async def find_version(self, name: str, version: int) -> Snapshot | None:
        """Return a version by its number; None where it is not kept any more."""
        snapshot = self._held(name, version) or await self._snapshots.load((name, version))
        return None if snapshot is None or snapshot.state is SnapshotState.RETIRED else snapshot

    async def version(self, name: str, version: int) -> Snapshot:
        """Return a version by its number.

        Raises `PriceListNotFound`, `SnapshotNotFound`, and `SnapshotExpired` for one that retention took.
        """
        if name not in self._read:
            self._read[name] = self._pointers.known(name)
        snapshot = self._held(name, version) or await self._snapshots.load((name, version))
        if snapshot is None:
            if await self._pointers.find(name) is None:
                raise PriceListNotFound(name)
            raise SnapshotNotFound(name, version)
        if snapshot.state is SnapshotState.RETIRED:
            raise SnapshotExpired(name, version)
        return snapshot

    def _held(self, name: str, version: int) -> Snapshot | None:
        """Return the manifest of a version from memory, while it is current: so long retention leaves it alone."""
        head = self._seen.get(name) or self._pointers.known(name)
        if head is None or head.current_version != version:
            return None
        records = self._pointers.versions.find(name, version)
        return records.snapshot if records is not None and records.snapshot.published_at is not None else None
