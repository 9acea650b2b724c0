"""Expiration: versions that retention does not keep expire in steps, and can be restored until the last.

1. A version that nothing keeps is marked in its manifest as expiring. Later reads of it are noted at once; earlier
   reads are noted with the next heartbeat of their process.
2. A run that finds the version marked for longer than several heartbeats, and still not read, sets it to RETIRED, in a
   transaction with the pointer and an event of its list.
3. When the restore time of the version is over, a run releases its layers: the manifest then names none, and stays so
   that readers learn that the version has expired.
4. `storage.maintenance.garbage_collection` drops a layer that no manifest names, once no reader can hold an older
   manifest.

Every step is idempotent and safe in several processes at once. A layer without a manifest is never named again: a
manifest takes its layers from its own batch, which is then unfinished and keeps them, from the current version, which
never expires, or from a compaction, which holds the lock of its layer; and restoring a version is a transaction that
conflicts with the release of its layers.
"""

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.metrics import StorageMetrics
from storage.catalog.events import EventKind, EventRepository
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.retention import ExpiringVersion, find_expiring
from storage.catalog.snapshots import Snapshot, SnapshotRepository, SnapshotState
from storage.catalog.transactions import check_reason, event_of
from storage.errors import Broken, NotRetired, Refused, SnapshotExpired, SnapshotNotFound
from storage.layers.writer import LayerWriter
from storage.mongodb.connection import Client
from storage.mongodb.locks import Locks
from storage.mongodb.transaction import in_transaction, instant

log = logging.getLogger("pricebook.expiration")

GRACE_SECONDS = 600
"""How long a version is kept after it was read."""

RESTORE_SECONDS = 86_400
"""How long an expired version can be restored."""

SETTLE_SECONDS = 10.0
"""How long a version is marked before it expires: several heartbeats, which report its readers."""

MAX_VERSIONS_PER_RUN = 100
"""Number of versions of a list that a run expires at most, and of those whose layers it releases."""


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

    `due` is when there is more to do if the pointer does not move; None: never.
    """

    retirements: list[Retirement] = field(default_factory=list)
    drops: list[LayerDrop] = field(default_factory=list)
    due: datetime.datetime | None = None


class SnapshotExpirer:
    """Expires and restores versions. `grace`, `restore` and `settle` are in seconds."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
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
        self._events = events
        self._layer_writer = layer_writer
        self._locks = locks
        self._metrics = metrics
        self._grace = datetime.timedelta(seconds=grace)
        self._restore = datetime.timedelta(seconds=restore)
        self._settle = datetime.timedelta(seconds=settle)

    async def run(self) -> None:
        """Expire the versions of every list, unless another process does so."""
        async with self._locks.held("retain") as held:
            for name in await self._price_lists.names() if held else ():
                try:
                    await self.expire(name, by="pricebook")
                except (Broken, Refused) as error:  # continue with the other lists
                    log.warning("Could not expire versions of %s: %s", name, error.message)

    async def expire(self, name: str, *, by: str) -> ExpirationResult:
        """Run the due steps for a list; none if another process does so. Raises `PriceListNotFound`."""
        await self._price_lists.get(name)
        async with self._locks.held(f"retain/{name}") as held:
            if not held:
                return ExpirationResult()
            now, manifests, expiring = await self._find_expiring(name)
            settled = now - self._settle
            due = [each for each in expiring if each.snapshot.doomed_at and each.snapshot.doomed_at <= settled]
            retirements = [
                self._retirement(each, now) for each in due[:MAX_VERSIONS_PER_RUN] if await self._expire(each, by)
            ]
            versions = {each.snapshot.version for each in expiring}
            marked = [each for each in manifests if each.doomed_at and each.state is SnapshotState.PUBLISHED]
            await self._snapshots.mark_expiring(name, sorted(versions))
            await self._snapshots.unmark(name, [each.version for each in marked if each.version not in versions])
            return ExpirationResult(retirements, await self._release_layers(name, manifests, now))

    async def plan(self, name: str) -> ExpirationResult:
        """Return what would expire if no version is read until then. Raises `PriceListNotFound`."""
        now, manifests, expiring = await self._find_expiring(name)
        return ExpirationResult(
            [self._retirement(each, now) for each in expiring[:MAX_VERSIONS_PER_RUN]],
            await self._drops(manifests, self._past_restore(manifests, now)),
        )

    async def restore(self, name: str, version: int, *, by: str, reason: str) -> PriceList:
        """Make an expired version readable again.

        Raises `SnapshotNotFound`, `NotRetired`, and `SnapshotExpired` if its layers were released.
        """
        check_reason(reason)

        async def act(session: AsyncClientSession) -> PriceList:
            price_list = await self._price_lists.get(name, session)
            snapshot = await self._snapshots.get(name, version, session)
            if snapshot is None:
                raise SnapshotNotFound(name, version)
            if snapshot.state is not SnapshotState.RETIRED:
                raise NotRetired(name, version)
            if snapshot.retired_at is None or not snapshot.layers:
                raise SnapshotExpired(name, version)
            await self._snapshots.restore(name, version, session)
            return await self._record(price_list, EventKind.RESTORED, by, f"Version {version}: {reason}", session)

        restored = await in_transaction(self._client, act)
        self._metrics.restored[name] += 1
        return restored

    async def _find_expiring(self, name: str) -> tuple[datetime.datetime, list[Snapshot], list[ExpiringVersion]]:
        """Return the server's time, the manifests of a list that name layers, and the versions to expire."""
        # Manifests before the pointer: a version that becomes current in between is then known to be current.
        now = (await self._client.admin.command("hello"))["localTime"].replace(tzinfo=datetime.UTC)
        manifests = await self._snapshots.with_layers(name)
        price_list = await self._price_lists.get(name)
        expiring = find_expiring(price_list.retention, manifests, _held_versions(price_list), now, self._grace)
        return now, manifests, expiring

    def _retirement(self, expiring: ExpiringVersion, now: datetime.datetime) -> Retirement:
        return Retirement(expiring.snapshot.version, expiring.reason, now + self._restore)

    async def _expire(self, expiring: ExpiringVersion, by: str) -> bool:
        """Expire a version, unless something keeps it by now."""
        seen = expiring.snapshot

        async def act(session: AsyncClientSession) -> bool:
            price_list = await self._price_lists.get(seen.price_list, session)
            snapshot = await self._snapshots.get(seen.price_list, seen.version, session)
            if snapshot is None or seen.version in _held_versions(price_list):
                return False
            if (snapshot.state, snapshot.read_at, snapshot.doomed_at) != (seen.state, seen.read_at, seen.doomed_at):
                return False
            await self._snapshots.expire(seen.price_list, seen.version, session)
            await self._record(price_list, EventKind.RETIRED, by, expiring.reason, session)
            return True

        expired = await in_transaction(self._client, act)
        if expired:
            self._metrics.retired[seen.price_list] += 1
            log.info("Expired a version of %s: %s", seen.price_list, expiring.reason)
        return expired

    async def _record(
        self, price_list: PriceList, kind: EventKind, by: str, reason: str, session: AsyncClientSession
    ) -> PriceList:
        """Append an event, with the next revision of the pointer."""
        moved = await self._price_lists.move(price_list, session)
        await self._events.append(event_of(price_list, moved, kind, by, instant(), reason=reason), session)
        return moved

    def _past_restore(self, manifests: Sequence[Snapshot], now: datetime.datetime) -> list[Snapshot]:
        """Return the versions whose restore time is over, oldest first."""
        past = [each for each in manifests if each.retired_at and each.retired_at <= now - self._restore]
        return past[::-1][:MAX_VERSIONS_PER_RUN]

    async def _release_layers(
        self, name: str, manifests: Sequence[Snapshot], now: datetime.datetime
    ) -> list[LayerDrop]:
        past = self._past_restore(manifests, now)
        drops = await self._drops(manifests, past)
        await self._snapshots.release_layers(name, [each.version for each in past])
        return drops

    async def _drops(self, manifests: Sequence[Snapshot], past: Sequence[Snapshot]) -> list[LayerDrop]:
        """Return the layers that only the versions of `past` name."""
        released = {each.version for each in past}
        kept = {
            layer
            for each in manifests
            if each.version not in released and _is_readable(each)
            for layer in each.layer_ids
        }
        versions = {layer: each.version for each in past for layer in each.layer_ids if layer not in kept}
        return [
            LayerDrop(layer, f"The last version that named it, {version}, has expired.", await self._bytes(layer))
            for layer, version in versions.items()
        ]

    async def _bytes(self, layer: str) -> int:
        stats: dict[str, Any] = await self._layer_writer.stats(layer)
        return int(stats.get("storageSize", 0)) + int(stats.get("totalIndexSize", 0))


def _is_readable(snapshot: Snapshot) -> bool:
    """Whether a version can be read or restored."""
    return snapshot.state is not SnapshotState.RETIRED or snapshot.retired_at is not None


def _held_versions(price_list: PriceList) -> set[int]:
    """Return the current and the pinned version."""
    pinned = price_list.pin.version if price_list.pin else None
    return {version for version in (price_list.current_version, pinned) if version is not None}
