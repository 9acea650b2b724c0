"""The transaction that publishes a release: all its lists change together, or none does.

It reads every list, collects what stands against each, and writes pointers, manifests, events, batches and the release.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.batch import Batch
from storage.batches.comparison import Comparison
from storage.batches.repository import BatchRepository
from storage.batches.states import BatchState
from storage.batches.transitions import next_version
from storage.catalog.events import EventKind, EventRepository
from storage.catalog.gates import Facts
from storage.catalog.list_filter import ListFilter
from storage.catalog.price_lists import PriceList
from storage.catalog.releases import MAX_LISTS, UNPUBLISHED, Release, ReleaseNotOpen, ReleaseRepository, ReleaseState
from storage.catalog.snapshots import Snapshot, SnapshotRepository
from storage.errors import Corrupt, InvalidArgument, Refused, shown
from storage.releases.errors import (
    BatchNotSealed,
    EmptyRelease,
    ListOfReleaseDeleted,
    MovedByRelease,
    ReleaseForbidden,
    ReleaseRefused,
    objection,
)
from storage.releases.lists import ListChange, ReleaseLists, check_operates
from storage.releases.members import Member, facts_of_members, objections_to


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """The request to publish a release.

    `expected` are versions that must be current, by list, instead of those that the batches expect; 0 stands for none.
    The caller may operate the lists of `operates`.
    """

    release: str
    by: str
    reason: str | None
    expected: Mapping[str, int]
    operates: ListFilter


class Published(NamedTuple):
    """A published release, and its batches before and after; without batches if it was published before."""

    release: Release
    batches: Sequence[tuple[Batch, Batch]] = ()


class ReleasePublication:
    """Publishes a release within a transaction."""

    def __init__(
        self,
        releases: ReleaseRepository,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        events: EventRepository,
        lists: ReleaseLists,
    ) -> None:
        self._releases = releases
        self._snapshots = snapshots
        self._batches = batches
        self._events = events
        self._lists = lists

    async def publish(
        self,
        request: PublishRequest,
        seen: Mapping[str, int],
        comparisons: Mapping[str, Comparison],
        session: AsyncClientSession,
    ) -> Published:
        """Publish a release whose lists had the revisions `seen` when its publishing began; `comparisons` are by batch.

        Raises `ListsMoved`, `ReleaseNotFound`, `ReleaseForbidden`, `ReleaseNotOpen`, `EmptyRelease`,
        `InvalidArgument`, `ReleaseRefused`, `Corrupt`.
        """
        release = await self._releases.get(request.release, session)
        check_operates(release, request.operates)
        if release.state is ReleaseState.PUBLISHED:
            return Published(release)
        if release.state not in UNPUBLISHED:
            raise ReleaseNotOpen(release.id, release.state)
        objections = await self._not_sealed(release, request.operates, session)
        if not release.items and not objections:
            raise EmptyRelease(release.id)
        _check_expected(release, request.expected)
        lists = await self._lists.read(release, session)
        objections += await self._moved_by_others(seen, lists, session)
        members = await self._members(release, lists, request.expected, session)
        facts = facts_of_members(members, comparisons)
        found = {member.price_list.name for member in members}
        objections += [
            objection(ListOfReleaseDeleted(item.price_list), item.price_list)
            for item in release.items
            if item.price_list not in found
        ]
        for member, judged in zip(members, facts, strict=True):
            objections += objections_to(member, judged)
        if objections:
            raise ReleaseRefused(release.id, sorted(objections, key=lambda each: each.path))
        return await self._write(release, members, facts, request, session)

    async def _not_sealed(self, release: Release, operates: ListFilter, session: AsyncClientSession) -> list[Refused]:
        """Return an objection for each batch in progress. Raises `ReleaseForbidden` for one of a list beyond reach."""
        in_progress = await self._batches.in_progress_of_release(release.id, MAX_LISTS, session)
        if not all(batch.price_list in operates for batch in in_progress):
            raise ReleaseForbidden(release.id)
        return [
            objection(BatchNotSealed(batch.id, batch.price_list, batch.state), batch.price_list)
            for batch in in_progress
        ]

    async def _moved_by_others(
        self, seen: Mapping[str, int], lists: Mapping[str, PriceList], session: AsyncClientSession
    ) -> list[Refused]:
        """Return the conflicts with other releases that moved a list since it was seen."""
        after = {
            name: seen[name] for name, price_list in lists.items() if name in seen and price_list.revision != seen[name]
        }
        moved = await self._events.moved_by_releases(after, session)
        return [objection(MovedByRelease(name, release), name) for name, release in moved.items()]

    async def _members(
        self,
        release: Release,
        lists: Mapping[str, PriceList],
        expected: Mapping[str, int],
        session: AsyncClientSession,
    ) -> list[Member]:
        """Return the lists and batches that exist, in the order of the items. Raises `Corrupt`."""
        held = await self._batches.get_all_held([item.batch for item in release.items], session)
        found = [
            (lists[item.price_list], held[item.batch])
            for item in release.items
            if item.price_list in lists and item.batch in held
        ]
        moved = [price_list for price_list, batch in found if not _is_on_current(price_list, batch)]
        keys = [(each.name, each.current_version) for each in moved if each.current_version is not None]
        bases = await self._snapshots.get_all(keys, session) if keys else {}
        if len(bases) < len(keys):
            raise Corrupt(
                f"The current version of a list of release {release.id} has no manifest. Run `pricebook check`."
            )
        return [
            Member(
                price_list,
                replace(batch, expected_version=expected.get(price_list.name, batch.expected_version)),
                bases.get((price_list.name, price_list.current_version or 0)),
            )
            for price_list, batch in found
        ]

    async def _write(
        self,
        release: Release,
        members: Sequence[Member],
        facts: Sequence[Facts],
        request: PublishRequest,
        session: AsyncClientSession,
    ) -> Published:
        versions = await self._renumber(members, facts, session)
        batches = [member.batch for member in members]
        next_changes = await self._batches.next_changes(
            [member.price_list for member in members], [batch.id for batch in batches], session
        )
        changes = [
            _change(member.price_list, member.batch, version, next_changes)
            for member, version in zip(members, versions, strict=True)
        ]
        moved = await self._lists.move(
            release, changes, session, kind=EventKind.PUBLISHED, by=request.by, reason=request.reason
        )
        await self._snapshots.mark_all_published(moved, session)
        published = await self._batches.advance_each_held(
            [
                (
                    member.batch,
                    {
                        "version": after.current_version,
                        "revision": after.revision,
                        "finished_at": after.moved_at,
                        "summary": judged.summary,
                        "base": member.price_list.current_version,
                    },
                )
                for member, judged, after in zip(members, facts, moved, strict=True)
            ],
            BatchState.PUBLISHED,
            session,
        )
        items = [
            replace(
                item,
                from_version=member.price_list.current_version,
                to_version=after.current_version,
                revision=after.revision,
            )
            for item, member, after in zip(release.items, members, moved, strict=True)
        ]
        done = await self._releases.update(
            release,
            session,
            state=ReleaseState.PUBLISHED,
            published_at=moved[0].moved_at,
            items=items,
        )
        return Published(done, list(zip(batches, published, strict=True)))

    async def _renumber(
        self, members: Sequence[Member], facts: Sequence[Facts], session: AsyncClientSession
    ) -> list[int]:
        """Return the version of each batch, after those that need it got a new one, on the current version."""
        withdrawn, added, versions = list[tuple[str, int]](), list[Snapshot](), list[int]()
        for (price_list, batch, base), judged in zip(members, facts, strict=True):
            version = batch.version or 0
            if not _is_on_current(price_list, batch):
                withdrawn.append((price_list.name, version))
                added.append(next_version(batch, price_list, base, judged.size))
                version = added[-1].version
            versions.append(version)
        if added:
            await self._snapshots.withdraw_all(withdrawn, session)
            await self._snapshots.add_all(added, session)
        return versions


def _is_on_current(price_list: PriceList, batch: Batch) -> bool:
    """Whether the version of a batch can become current: its base is, and no higher version was published."""
    return batch.base == price_list.current_version and (batch.version or 0) > price_list.published_version


def _check_expected(release: Release, expected: Mapping[str, int]) -> None:
    unknown = next((name for name in expected if release.item(name) is None), None)
    if unknown is not None:
        raise InvalidArgument(
            f"Release {release.id} has no batch of {shown(unknown)}. Leave its expected version out.",
            path=("input", "expected"),
        )


def _change(price_list: PriceList, batch: Batch, version: int, next_changes: Mapping[str, object]) -> ListChange:
    changes = {
        "current_version": version,
        "published_version": version,
        "last_version": max(version, price_list.last_version),
        "next_change_at": next_changes.get(price_list.name),
    }
    return ListChange(price_list, changes, batch.id, version)
