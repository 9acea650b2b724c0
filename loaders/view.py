"""The view of a request: the pointers of all lists at one moment, which decide which version of each it reads."""

import asyncio
import datetime
from collections.abc import Sequence

from loaders.dataloaders import SnapshotByVersionLoader
from loaders.instants import Instants
from loaders.min_versions import NONE, MinVersions
from loaders.pointer_cache import MIN_VERSION_TIMEOUT_SECONDS, PointerCache, Pointers
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
    VersionNotReached,
)


class View:
    """One request's view. It takes the pointers of all lists once; later publishes do not affect the request.

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
        self._taken: Pointers | None = None
        """The pointers of all lists, once the request needed one."""
        self._taking: asyncio.Future[Pointers] | None = None
        self._has_read_all = False
        self._numbered: dict[str, PriceList | None] = {}
        """By list, the pointer at the first read of a version by its number."""
        self._followed: dict[str, PriceList] = {}
        self._finding: dict[str, asyncio.Future[PriceList | None]] = {}

    def known(self, name: str) -> PriceList | None:
        """Return the list as this request sees it from memory, or None if only `find` can return it."""
        followed = self._followed.get(name)
        if followed is None and name not in self._finding:
            pointer = self._at_hand(name)
            if pointer is not None and self._min_versions.is_reached_by(pointer):
                followed = self._followed[name] = pointer
        return followed

    def _at_hand(self, name: str) -> PriceList | None:
        """Return a list at the moment of this request if its pointers are in memory. None if it does not exist then."""
        if self._taken is None and self._taking is None and self._pointers.alive:
            self._taken = self._pointers.served
        pointer = None if self._taken is None else self._taken.get(name)
        return None if pointer is None or pointer.deletion else pointer

    async def find(self, name: str) -> PriceList | None:
        """Return the list as this request sees it, or None. Raises `VersionNotReached`."""
        known = self.known(name)
        if known is not None:
            return known
        if name not in self._finding:
            self._finding[name] = asyncio.ensure_future(self._find(name))
        return await asyncio.shield(self._finding[name])

    async def lists(self) -> Sequence[PriceList]:
        """Return all lists as this request sees them."""
        self._has_read_all = True
        return [pointer for pointer in (await self._take()).values() if not pointer.deletion]

    async def _take(self) -> Pointers:
        if self._taken is None:
            self._taking = self._taking or asyncio.ensure_future(self._pointers.current())
            self._taken = await asyncio.shield(self._taking)
        return self._taken

    async def _find(self, name: str) -> PriceList | None:
        """Take the pointers, or later ones if the list is created, or reaches its minimum version, only then."""
        await self._take()
        pointer = self._at_hand(name)
        if pointer is None or not self._min_versions.is_reached_by(pointer):
            later = await self._pointers.current_with(name, self._min_versions)
            if later is None:
                return None
            self._turn_to(later, name)
            pointer = self._at_hand(name)
        if pointer is not None:
            self._followed[name] = pointer
        return pointer

    def _turn_to(self, later: Pointers, name: str) -> None:
        """Turn to the pointers of a later moment, because only they have a list at its minimum version, or at all.

        If a list that the request follows has moved meanwhile, it stays with its moment, at which the list that is
        created later does not exist. Raises `VersionNotReached` for one that does.
        """
        followed = self._followed.values()
        if not self._has_read_all and all(
            later[each.name].current_version == each.current_version for each in followed
        ):
            self._taken = later
            return
        pointer, minimum = self._at_hand(name), self._min_versions.minimum(name)
        if pointer is not None:
            raise VersionNotReached(name, minimum, pointer.published_version, MIN_VERSION_TIMEOUT_SECONDS)

    def renew(self) -> None:
        """Take the pointers again, because a mutation of this request moved some of them."""
        self._taken, self._taking, self._has_read_all = None, None, False
        self._followed.clear()
        self._finding.clear()

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
            self._numbered[name] = self._at_hand(name)
        snapshot = await self._visible(name, version)
        # The manifests of a deleted list may still exist, and those of one that is deleted meanwhile may be gone.
        is_seen = self._numbered[name] is not None or name in self._followed
        if not (snapshot and is_seen) and await self._pointers.current_with(name) is None:
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
            self._numbered[name] = self._at_hand(name)
        if self._numbered[name] is None and await self._pointers.current_with(name) is None:
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
        pointer = self._followed.get(name) or self._at_hand(name)
        return pointer is not None and pointer.current_version == version

    def _cached_manifest(self, name: str, version: int) -> Snapshot | None:
        """Return the manifest of a version from memory if it is current: retention never expires a current version."""
        if not self._is_current(name, version):
            return None
        cached = self._pointers.versions.find(name, version)
        return cached.snapshot if cached is not None and cached.snapshot.published_at is not None else None
