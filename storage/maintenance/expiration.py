"""Expiration: versions that retention does not keep expire in steps, and can be restored until the last.

1. A version that nothing keeps is marked in its manifest as expiring. Later reads of it are recorded at once; earlier
   reads within two seconds, by their process.
2. A run that finds the version marked for `SETTLE_SECONDS`, and still not read, sets it to RETIRED, in a transaction
   with the pointer and an event of its list.
3. When the restore time of the version is over, a run releases its layers: the manifest moves to `expired_snapshots`
   and names none, so that readers learn that the version has expired. The layers are noted as orphans in the same
   transaction.
4. `storage.maintenance.garbage_collection` drops a layer that no manifest names, once no reader can hold an older
   manifest.

A run checks first, and takes its lock and writes only if a step is due. Every step is idempotent and safe in several
processes at once. A layer without a manifest is never named again: a manifest takes its layers from its own batch,
which is then unfinished and keeps them, from the current version, which never expires, or from a compaction, which
holds the lock of its layer; and restoring a version is a transaction that conflicts with the release of its layers.
"""

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.metrics import StorageMetrics
from storage.catalog.events import EventKind, EventRepository
from storage.catalog.expiration import ExpirationRepository, KeptVersion
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.retention import Retention
from storage.catalog.snapshots import SnapshotRepository, SnapshotState
from storage.catalog.transactions import PointerChange, check_reason, commit_pointer_change, event_of
from storage.errors import NotRetired, SnapshotExpired, SnapshotNotFound
from storage.layers.writer import LayerWriter
from storage.maintenance.expiration_search import (
    Expiring,
    ExpiringVersion,
    earliest,
    find_expiring,
    versions_of_pointer,
)
from storage.mongodb.connection import Client
from storage.mongodb.locks import Locks
from storage.mongodb.server_time import server_time
from storage.mongodb.transaction import in_transaction

log = logging.getLogger("pricebook.expiration")

GRACE_SECONDS = 600
"""How long a version is kept after it was read."""

RESTORE_SECONDS = 86_400
"""How long an expired version can be restored."""

SETTLE_SECONDS = 10.0
"""How long a version is marked before it expires: several times the interval at which processes record reads."""

MAX_VERSIONS_PER_RUN = 100
"""Number of versions of a list that a run expires at most, and of those whose layers it releases."""


MAX_KEPT = 100
"""Number of versions of a list that are shown as kept until an instant."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """An expired version, the reason, and until when it can be restored."""

    version: int
    reason: str
    restorable_until: datetime.datetime


@dataclass(frozen=True, slots=True)
class LayerDrop:
    """A layer that no version names now, the reason, and its size on the disk of a member."""

    layer: str
    reason: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ExpirationResult:
    """The versions that a run expires, and the layers that it releases.

    `due` is when the next step is due if the pointer of the list does not move; None if none ever is. `now` is the time
    of the run. Both are times of the database.
    """

    now: datetime.datetime

    retirements: list[Retirement] = field(default_factory=list)
    drops: list[LayerDrop] = field(default_factory=list)
    due: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """The steps that are due for a list at the time `now`, and when the next one is, `due`.

    `past` are the versions whose restore time is over.
    """

    price_list: str
    retention: Retention
    now: datetime.datetime
    expiring: Expiring
    unneeded_marks: Sequence[int]
    past: Sequence[int]
    due: datetime.datetime | None

    @property
    def unmarked(self) -> list[int]:
        """The versions to mark."""
        return [each.version for each in self.expiring.versions if each.doomed_at is None]

    def settled(self, settle: datetime.timedelta) -> list[ExpiringVersion]:
        """Return the versions to expire: they have been marked for long enough."""
        versions = self.expiring.versions
        return [each for each in versions if each.doomed_at and each.doomed_at + settle <= self.now]


class SnapshotExpirer:
    """Expires and restores versions. `grace`, `restore` and `settle` are in seconds."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        expirations: ExpirationRepository,
        events: EventRepository,
        layer_writer: LayerWriter,
        locks: Locks,
        metrics: StorageMetrics,
        grace: float = GRACE_SECONDS,
        restore: float = RESTORE_SECONDS,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._expirations = expirations
        self._events = events
        self._layer_writer = layer_writer
        self._locks = locks
        self._metrics = metrics
        self._grace = datetime.timedelta(seconds=grace)
        self._restore = datetime.timedelta(seconds=restore)
        self._settle = datetime.timedelta(seconds=settle)

    async def expire(self, name: str, *, by: str) -> ExpirationResult:
        """Run the due steps for a list; none if another process does so. Raises `PriceListNotFound`."""
        work = await self._find_work(name)
        if not (work.unmarked or work.settled(self._settle) or work.unneeded_marks or work.past):
            return ExpirationResult(work.now, due=work.due)
        async with self._locks.held(f"retain/{name}") as held:
            if not held:
                return ExpirationResult(work.now, due=work.now + self._settle)
            return await self._do(await self._find_work(name), by)

    async def plan(self, name: str) -> ExpirationResult:
        """Return what would expire if no version is read until then. Raises `PriceListNotFound`."""
        work = await self._find_work(name)
        retirements = [self._retirement(each, work.now) for each in work.expiring.versions]
        return ExpirationResult(work.now, retirements, await self._drops(name, work.past), work.due)

    async def kept(self, name: str, now: datetime.datetime) -> list[KeptVersion]:
        """Return up to `MAX_KEPT` versions that are kept until an instant after `now`, in the order of the instants."""
        return await self._expirations.kept(name, now, MAX_KEPT)

    async def restore(self, name: str, version: int, *, by: str, reason: str) -> PriceList:
        """Make an expired version readable again.

        Raises `SnapshotNotFound`, `NotRetired`, and `SnapshotExpired` if its layers were released.
        """
        check_reason(reason)

        async def act(session: AsyncClientSession) -> PointerChange:
            price_list = await self._price_lists.get(name, session)
            snapshot = await self._snapshots.get(name, version, session)
            if snapshot is None:
                raise SnapshotNotFound(name, version)
            if snapshot.state is not SnapshotState.RETIRED:
                raise NotRetired(name, version)
            if snapshot.retired_at is None or not snapshot.layers:
                raise SnapshotExpired(name, version)
            await self._expirations.restore(name, version, session)
            return await self._record(price_list, EventKind.RESTORED, by, version, reason, session)

        restored = await commit_pointer_change(self._client, self._events, act)
        self._metrics.restored[name] += 1
        return restored

    async def _find_work(self, name: str) -> _Work:
        """Return what is due for a list, without a write."""
        now = await server_time(self._client)
        price_list = await self._price_lists.get(name)
        expiring = await find_expiring(self._expirations, price_list, now, self._grace, MAX_VERSIONS_PER_RUN)
        marked = await self._expirations.marked(name, 2 * MAX_VERSIONS_PER_RUN)
        expired = await self._expirations.expired(name, MAX_VERSIONS_PER_RUN + 1)
        past = [each.version for each in expired if each.retired_at <= now - self._restore]
        settling = [each.doomed_at + self._settle for each in expiring.versions if each.doomed_at]
        restorable = [each.retired_at + self._restore for each in expired[len(past[:MAX_VERSIONS_PER_RUN]) :]]
        return _Work(
            name,
            price_list.retention,
            now,
            expiring,
            [each.version for each in marked if expiring.keeps(each)],
            past[:MAX_VERSIONS_PER_RUN],
            earliest([expiring.due, *(time for time in settling if time > now), *restorable]),
        )

    async def _do(self, work: _Work, by: str) -> ExpirationResult:
        settled = work.settled(self._settle)
        retirements = [self._retirement(each, work.now) for each in settled if await self._expire(work, each, by)]
        if work.unmarked:
            await self._expirations.mark(work.price_list, work.unmarked)
        if work.unneeded_marks:
            await self._expirations.unmark(work.price_list, work.unneeded_marks)
        drops = await self._release_layers(work)
        dues = [work.due]
        if work.unmarked or len(retirements) < len(settled):
            dues.append(work.now + self._settle)
        if retirements:
            dues.append(work.now + self._restore if work.expiring.is_complete else work.now)
        return ExpirationResult(work.now, retirements, drops, earliest(dues))

    def _retirement(self, expiring: ExpiringVersion, now: datetime.datetime) -> Retirement:
        return Retirement(expiring.version, expiring.reason, now + self._restore)

    async def _expire(self, work: _Work, seen: ExpiringVersion, by: str) -> bool:
        """Expire a version, unless something keeps it by now."""
        name = work.price_list

        async def act(session: AsyncClientSession) -> bool:
            price_list = await self._price_lists.get(name, session)
            snapshot = await self._snapshots.get(name, seen.version, session)
            if snapshot is None or seen.version in versions_of_pointer(price_list):
                return False
            if price_list.retention != work.retention:
                return False
            if snapshot.state is not SnapshotState.PUBLISHED:
                return False
            if not seen.seen.is_unchanged_in(snapshot):
                return False
            await self._expirations.expire(name, seen.version, session)
            await self._record(price_list, EventKind.RETIRED, by, seen.version, seen.reason, session)
            return True

        expired = await in_transaction(self._client, act)
        if expired:
            self._metrics.retired[name] += 1
            log.info("Expired a version of %s: %s", name, seen.reason)
        return expired

    async def _record(
        self, price_list: PriceList, kind: EventKind, by: str, version: int, reason: str, session: AsyncClientSession
    ) -> PointerChange:
        """Append an event, with the next revision of the pointer."""
        moved = await self._price_lists.move(price_list, session)
        event = event_of(price_list, moved, kind, by, reason=reason, version=version)
        await self._events.append(event, session)
        return PointerChange(moved, event)

    async def _release_layers(self, work: _Work) -> list[LayerDrop]:
        """Release the layers of the versions whose restore time is over, unless they were restored meanwhile."""
        if not work.past:
            return []
        name = work.price_list
        drops = await self._drops(name, work.past)

        async def act(session: AsyncClientSession) -> None:
            await self._snapshots.release_layers(name, work.past, work.now - self._restore, session)

        await in_transaction(self._client, act)
        return drops

    async def _drops(self, name: str, past: Sequence[int]) -> list[LayerDrop]:
        """Return the layers that only the versions of `past` name."""
        besides = [(name, version) for version in past]
        return [
            LayerDrop(layer, f"The last version that named it, {version}, has expired.", await self._bytes(layer))
            for layer, version in (await self._expirations.layers(name, past)).items()
            if not await self._snapshots.is_named(layer, besides)
        ]

    async def _bytes(self, layer: str) -> int:
        stats: dict[str, Any] = await self._layer_writer.stats(layer)
        return int(stats.get("storageSize", 0)) + int(stats.get("totalIndexSize", 0))
