"""Rolling a release back: all of its lists return to the versions that were current before it, or none does."""

from collections.abc import Mapping

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.metrics import StorageMetrics
from storage.catalog.events import EventKind
from storage.catalog.list_filter import ALL_LISTS, ListFilter
from storage.catalog.price_lists import Pin, PriceList
from storage.catalog.releases import Release, ReleaseItem, ReleaseRepository, ReleaseState
from storage.catalog.snapshots import Snapshot, SnapshotRepository, SnapshotState
from storage.catalog.transactions import check_reason
from storage.errors import Conflict, Refused, SnapshotExpired
from storage.mongodb.connection import Client
from storage.mongodb.transaction import commit, instant
from storage.releases.errors import ListOfReleaseDeleted, NoEarlierVersion, ReleaseRefused, objection
from storage.releases.lists import ListChange, ReleaseLists, check_operates


class ReleaseNotPublished(Refused):
    """The release was not published, so it cannot be rolled back."""

    code = "RELEASE_NOT_PUBLISHED"

    def __init__(self, release: Release) -> None:
        super().__init__(
            f"Release {release.id} is {release.state}. Only a PUBLISHED one can be rolled back; to stop one that is "
            "not published yet, discard it.",
            path=("input", "release"),
        )


class ReleaseRollback:
    """Rolls releases back."""

    def __init__(
        self,
        client: Client,
        snapshots: SnapshotRepository,
        releases: ReleaseRepository,
        lists: ReleaseLists,
        metrics: StorageMetrics,
    ) -> None:
        self._client = client
        self._snapshots = snapshots
        self._releases = releases
        self._lists = lists
        self._metrics = metrics

    async def rollback(self, release_id: str, *, by: str, reason: str, operates: ListFilter = ALL_LISTS) -> Release:
        """Make the versions current that were so before a release, and pin them there; an earlier pin is replaced.

        A release that was rolled back already is returned unchanged. The caller may operate the lists of `operates`.
        Raises `InvalidArgument` for an invalid reason, `ReleaseNotFound`, `ReleaseForbidden`, `ReleaseNotPublished`,
        and `ReleaseRefused` with what stands against it: `Conflict` if another version is current than the release
        published, `SnapshotExpired`, `NoEarlierVersion`, `ListOfReleaseDeleted`.
        """
        check_reason(reason)

        is_new = False

        async def act(session: AsyncClientSession) -> Release:
            nonlocal is_new
            release = await self._releases.get(release_id, session)
            check_operates(release, operates)
            is_new = release.state is not ReleaseState.ROLLED_BACK
            if not is_new:
                return release
            if release.state is not ReleaseState.PUBLISHED:
                raise ReleaseNotPublished(release)
            lists = await self._lists.read(release, session)
            await self._check(release, lists, session)
            changes = [_change(item, lists[item.price_list], by, reason) for item in release.items]
            await self._lists.move(release, changes, session, kind=EventKind.ROLLED_BACK, by=by, reason=reason)
            return await self._releases.update(release, session, state=ReleaseState.ROLLED_BACK)

        rolled_back = await commit(self._client, act, self._is_stored)
        self._metrics.releases["rolled_back"] += is_new
        return rolled_back

    async def _check(self, release: Release, lists: Mapping[str, PriceList], session: AsyncClientSession) -> None:
        """Raise `ReleaseRefused` unless all lists can return to their earlier versions."""
        earlier = [(item.price_list, item.from_version) for item in release.items if item.from_version is not None]
        snapshots = await self._snapshots.get_all(earlier, session)
        found = [(item.price_list, _objection(item, lists.get(item.price_list), snapshots)) for item in release.items]
        objections = [objection(error, name) for name, error in found if error]
        if objections:
            raise ReleaseRefused(release.id, objections)

    async def _is_stored(self, rolled_back: Release) -> bool:
        """Whether the transaction with this result was committed."""
        found = await self._releases.find(rolled_back.id)
        return found is not None and found.state is rolled_back.state


def _objection(
    item: ReleaseItem, price_list: PriceList | None, snapshots: Mapping[tuple[str, int], Snapshot]
) -> Refused | None:
    """Return what stands against the return of a list to its earlier version, or None."""
    name, version = item.price_list, item.from_version
    if price_list is None:
        return ListOfReleaseDeleted(name)
    if version is None:
        return NoEarlierVersion(name)
    if item.to_version is None or price_list.current_version != item.to_version:
        return Conflict(name, item.to_version or 0, price_list.current_version)
    earlier = snapshots.get((name, version))  # it was current: if its manifest is gone, it has expired
    return SnapshotExpired(name, version) if earlier is None or earlier.state is SnapshotState.RETIRED else None


def _change(item: ReleaseItem, price_list: PriceList, by: str, reason: str) -> ListChange:
    if item.from_version is None:
        raise AssertionError(f"{item.price_list!r} had no version before the release.")
    pin = Pin(item.from_version, reason, by, instant())
    return ListChange(price_list, {"current_version": item.from_version, "pin": pin}, version=item.from_version)
