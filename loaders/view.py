"""The view of a request: the version of each list that it reads, chosen once and fixed until the request ends."""

import asyncio
import datetime

from loaders.dataloaders import SnapshotByVersionLoader
from loaders.instants import Instants
from loaders.min_versions import NONE, MinVersions
from loaders.pointer_cache import PointerCache
from storage import (
    NO_LISTS,
    ListFilter,
    Preview,
    PriceList,
    PriceListNotFound,
    Snapshot,
    SnapshotExpired,
    SnapshotNotFound,
    SnapshotState,
)


class View:
    """One request's view. The pointer of each list is read once; later publishes do not affect the request.

    `min_versions` are the versions that must have been published before the pointer of a list is used. `works_on` are
    the lists that the caller works on. Their unpublished versions, which were never current, are visible to this caller
    only. `preview` is the version of a preview token: it is visible by its number, and makes the request private.
    """

    def __init__(
        self,
        pointers: PointerCache,
        snapshots: SnapshotByVersionLoader,
        instants: Instants,
        min_versions: MinVersions = NONE,
        works_on: ListFilter = NO_LISTS,
        preview: Preview | None = None,
    ) -> None:
        self._pointers = pointers
        self._snapshots = snapshots
        self.instants = instants
        self._min_versions = min_versions
        self._works_on = works_on
        self.preview = preview
        self.is_private = preview is not None
        """Whether this request was shown what only those who work on a list may see. No cache may keep the response."""
        self._numbered: dict[str, PriceList | None] = {}
        """By list, the pointer at the first read of a version by its number."""
        self._followed: dict[str, PriceList] = {}
        self._finding: dict[str, asyncio.Future[PriceList | None]] = {}

    def known(self, name: str) -> PriceList | None:
        """Return the list as this request sees it from memory, or None if only `find` can return it."""
        followed = self._followed.get(name)
        if followed is None and name not in self._finding:
            pointer = self._pointers.known(name)
            if pointer is not None and self._min_versions.is_reached_by(pointer):
                followed = self._followed[name] = pointer
        return followed

    async def find(self, name: str) -> PriceList | None:
        """Return the list as this request sees it, or None. Raises `VersionNotReached`."""
        known = self.known(name)
        if known is not None:
            return known
        if name not in self._finding:
            self._finding[name] = asyncio.ensure_future(self._pointers.wait_for_min_version(name, self._min_versions))
        found = await asyncio.shield(self._finding[name])
        if found is not None:
            self._followed.setdefault(name, found)
        return found

    def forget(self, name: str) -> None:
        """Read the pointer of the list again, because a mutation of this request moved it."""
        self._followed.pop(name, None)
        self._finding.pop(name, None)

    def known_current(self, name: str) -> Snapshot | None:
        """Return the current version of this request from memory, or None if only `current` can return it."""
        pointer = self.known(name)
        if pointer is None or pointer.current_version is None:
            return None
        return self._cached_manifest(name, pointer.current_version)

    def followed_revision(self, name: str) -> int | None:
        """Return the revision of the pointer that this request follows, or None if it does not follow the list."""
        pointer = self._followed.get(name)
        return pointer.revision if pointer else None

    def followed(self) -> dict[str, PriceList | None]:
        """Return the lists whose pointers this request followed, as it sees them."""
        return {name: self._followed.get(name) for name in (*self._followed, *self._finding)}

    def revisions(self) -> dict[str, int] | None:
        """Return the pointer revision of each list at which this response stays valid, or None if one is unknown.

        Versions that were read by their numbers count too: retention raises the revision when it expires one.
        """
        revisions: dict[str, int] = {}
        for pointer in (*self._numbered.values(), *self.followed().values()):
            if pointer is None:
                return None
            revisions[pointer.name] = min(pointer.revision, revisions.get(pointer.name, pointer.revision))
        return revisions

    async def current(self, name: str) -> Snapshot | None:
        """Return the current version of this request, or None before the first publish.

        Raises `PriceListNotFound`, `VersionNotReached`.
        """
        pointer = await self.find(name)
        if pointer is None:
            raise PriceListNotFound(name)
        version = pointer.current_version
        return None if version is None else await self.version(name, version)

    def shows_unpublished(self, name: str) -> bool:
        """Whether to show unpublished versions of a list to the caller. The request becomes private if so."""
        if name not in self._works_on:
            return False
        self.is_private = True
        return True

    def previews(self, name: str, version: int) -> bool:
        """Whether a version is that of the preview token."""
        preview = self.preview
        return preview is not None and (preview.price_list, preview.version) == (name, version)

    async def find_version(self, name: str, version: int) -> Snapshot | None:
        """Return a version by its number, or None if it does not exist or has expired."""
        snapshot = await self._visible(name, version)
        return None if snapshot is None or snapshot.state is SnapshotState.RETIRED else snapshot

    async def version(self, name: str, version: int) -> Snapshot:
        """Return a version by its number.

        Raises `PriceListNotFound`, `SnapshotNotFound`, and `SnapshotExpired` if retention expired it.
        """
        if name not in self._numbered:
            self._numbered[name] = self._pointers.known(name)
        snapshot = await self._visible(name, version)
        # The manifests of a deleted list may still exist, and those of one that is deleted meanwhile may be gone.
        is_seen = self._numbered[name] is not None or name in self._followed
        if not (snapshot and is_seen) and await self._pointers.find(name) is None:
            raise PriceListNotFound(name)
        if snapshot is None:
            raise SnapshotNotFound(name, version)
        if snapshot.state is SnapshotState.RETIRED:
            raise SnapshotExpired(name, version)
        return snapshot

    async def as_of(self, name: str, instant: datetime.datetime) -> Snapshot | None:
        """Return the version that was current at an instant; None before the first publish, and in the future.

        Raises `PriceListNotFound`, and `SnapshotExpired` if retention expired it.
        """
        if name not in self._numbered:
            self._numbered[name] = self._pointers.known(name)
        if await self._pointers.find(name) is None:
            raise PriceListNotFound(name)
        version = await self.instants.version(name, instant, self._followed)
        return None if version is None else await self.version(name, version)

    async def _visible(self, name: str, version: int) -> Snapshot | None:
        """Return the manifest of a version, or None if the version does not exist for the caller."""
        snapshot = self._cached_manifest(name, version) or await self._snapshots.load((name, version))
        if snapshot is None or snapshot.published_at is not None:
            return snapshot
        # A new primary may return the manifest of a current version as it was before its publication.
        if self._is_current(name, version) or self.previews(name, version):
            return snapshot
        return snapshot if self.shows_unpublished(name) else None

    def _is_current(self, name: str, version: int) -> bool:
        pointer = self._followed.get(name) or self._pointers.known(name)
        return pointer is not None and pointer.current_version == version

    def _cached_manifest(self, name: str, version: int) -> Snapshot | None:
        """Return the manifest of a version from memory if it is current: retention never expires a current version."""
        if not self._is_current(name, version):
            return None
        cached = self._pointers.versions.find(name, version)
        return cached.snapshot if cached is not None and cached.snapshot.published_at is not None else None
