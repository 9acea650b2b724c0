"""Retirement: what retention does not keep goes, step by step, and can be brought back until the last.

1. A version that nothing keeps is doomed: the mark is in its manifest, so that whoever reads it from now on notes that
   at once; what was read before is noted with the next heartbeat.
2. A run that finds it doomed for longer than some heartbeats, and still not read, retires it, in a transaction with
   its list's pointer and an event.
3. When it was retired for longer than the restore time, a run lets go of its layers: the manifest names none any more,
   and stays, to tell readers that the version has expired.
4. `storage.maintenance.garbage_collection` drops a layer that no manifest names, once no reader can hold an older
   manifest.

Every step can be done twice, and by several processes at once. A layer that nobody names cannot be named again: a
manifest takes its layers from its own batch, which is then unfinished and keeps them, or from the current version,
which is never doomed; and a version is brought back in a transaction that conflicts with letting go of its layers.
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
from storage.layers.writer import Layers
from storage.mongodb.connection import Client, Database
from storage.mongodb.locks import Locks
from storage.mongodb.transaction import in_transaction, instant

log = logging.getLogger("pricebook.retirement")

GRACE_SECONDS = 600
"""A version that was read within so many seconds is kept."""

RESTORE_SECONDS = 86_400
"""A version that was retired can be brought back for so many seconds."""

SETTLE_SECONDS = 10.0
"""A version is doomed for so long before it goes: several heartbeats, which tell who reads it."""

MAX_VERSIONS_PER_RUN = 100
"""One run retires at most so many versions of a list, and lets go of the layers of at most so many."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """A version that goes, and why. It can be brought back until then."""

    version: int
    reason: str
    restorable_until: datetime.datetime


@dataclass(frozen=True, slots=True)
class LayerDrop:
    """A layer that no version will name any more, and its bytes on a member's disk."""

    layer: str
    reason: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Retired:
    """What a run did to a list, or would do."""

    retirements: list[Retirement] = field(default_factory=list)
    drops: list[LayerDrop] = field(default_factory=list)


class SnapshotExpirer:
    """Retires versions and brings them back. The times are in seconds."""

    def __init__(
        self,
        client: Client,
        db: Database,
        locks: Locks,
        metrics: StorageMetrics,
        grace: float = GRACE_SECONDS,
        restore: float = RESTORE_SECONDS,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._client = client
        self._db = db
        self._price_lists = PriceListRepository(db)
        self._snapshots = SnapshotRepository(db)
        self._events = EventRepository(db)
        self._layers = Layers(db)
        self._locks = locks
        self._metrics = metrics
        self._grace = datetime.timedelta(seconds=grace)
        self._restore = datetime.timedelta(seconds=restore)
        self._settle = datetime.timedelta(seconds=settle)

    async def run(self) -> None:
        """Retire what is to go of every list, unless another process is at it."""
        async with self._locks.held("retain") as held:
            for name in await self._price_lists.names() if held else ():
                try:
                    await self.retain(name, by="pricebook")
                except (Broken, Refused) as error:  # the others are not to wait for it
                    log.warning("Nothing is retired of %s: %s", name, error.message)

    async def retain(self, name: str, *, by: str) -> Retired:
        """Do what is due for a list; nothing where another process is at it. Raises `PriceListNotFound`."""
        await self._price_lists.get(name)
        async with self._locks.held(f"retain/{name}") as held:
            if not held:
                return Retired()
            now, manifests, dooms = await self._look(name)
            ripe = [doom for doom in dooms if doom.snapshot.doomed_at and doom.snapshot.doomed_at <= now - self._settle]
            retirements = [
                self._told(doom, now) for doom in ripe[:MAX_VERSIONS_PER_RUN] if await self._retire(doom, by)
            ]
            wanted = {doom.snapshot.version for doom in dooms}
            spared = [each for each in manifests if each.doomed_at and each.state is SnapshotState.PUBLISHED]
            await self._snapshots.mark_expiring(name, sorted(wanted))
            await self._snapshots.unmark(name, [each.version for each in spared if each.version not in wanted])
            return Retired(retirements, await self._let_go(name, manifests, now))

    async def plan(self, name: str) -> Retired:
        """Tell what would go of a list if nobody reads it meanwhile. Raises `PriceListNotFound`."""
        now, manifests, dooms = await self._look(name)
        over = self._over(manifests, now)
        return Retired(
            [self._told(doom, now) for doom in dooms[:MAX_VERSIONS_PER_RUN]], await self._drops(manifests, over)
        )

    async def restore(self, name: str, version: int, *, by: str, reason: str) -> PriceList:
        """Bring back a version that was retired.

        Raises `SnapshotNotFound`, `NotRetired`, and `SnapshotExpired` when its layers are gone.
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
            return await self._tell(price_list, EventKind.RESTORED, by, f"Version {version}: {reason}", session)

        restored = await in_transaction(self._client, act)
        self._metrics.restored[name] += 1
        return restored

    async def _look(self, name: str) -> tuple[datetime.datetime, list[Snapshot], list[ExpiringVersion]]:
        # The manifests before the pointer: one that became current meanwhile is then not taken for an old one.
        now = (await self._db.command("hello"))["localTime"].replace(tzinfo=datetime.UTC)
        manifests = await self._snapshots.with_layers(name)
        price_list = await self._price_lists.get(name)
        return now, manifests, self._doomed(price_list, manifests, now)

    def _doomed(
        self, price_list: PriceList, manifests: Sequence[Snapshot], now: datetime.datetime
    ) -> list[ExpiringVersion]:
        return find_expiring(price_list.retention, manifests, _held(price_list), now, self._grace)

    def _told(self, doom: ExpiringVersion, now: datetime.datetime) -> Retirement:
        return Retirement(doom.snapshot.version, doom.reason, now + self._restore)

    async def _retire(self, doom: ExpiringVersion, by: str) -> bool:
        """Retire a version, unless something keeps it now."""
        seen = doom.snapshot

        async def act(session: AsyncClientSession) -> bool:
            price_list = await self._price_lists.get(seen.price_list, session)
            snapshot = await self._snapshots.get(seen.price_list, seen.version, session)
            if snapshot is None or seen.version in _held(price_list):
                return False
            if (snapshot.state, snapshot.read_at, snapshot.doomed_at) != (seen.state, seen.read_at, seen.doomed_at):
                return False
            await self._snapshots.expire(seen.price_list, seen.version, session)
            await self._tell(price_list, EventKind.RETIRED, by, doom.reason, session)
            return True

        retired = await in_transaction(self._client, act)
        if retired:
            self._metrics.retired[seen.price_list] += 1
            log.info("%s of %s is retired.", doom.reason, seen.price_list)
        return retired

    async def _tell(
        self, price_list: PriceList, kind: EventKind, by: str, reason: str, session: AsyncClientSession
    ) -> PriceList:
        moved = await self._price_lists.move(price_list, session)
        await self._events.append(event_of(price_list, moved, kind, by, instant(), reason=reason), session)
        return moved

    def _over(self, manifests: Sequence[Snapshot], now: datetime.datetime) -> list[Snapshot]:
        """Return the versions whose restore time is over, oldest first."""
        over = [each for each in manifests if each.retired_at and each.retired_at <= now - self._restore]
        return over[::-1][:MAX_VERSIONS_PER_RUN]

    async def _let_go(self, name: str, manifests: Sequence[Snapshot], now: datetime.datetime) -> list[LayerDrop]:
        over = self._over(manifests, now)
        drops = await self._drops(manifests, over)
        await self._snapshots.release_layers(name, [each.version for each in over])
        return drops

    async def _drops(self, manifests: Sequence[Snapshot], over: Sequence[Snapshot]) -> list[LayerDrop]:
        """Return the layers that only these versions name."""
        going = {each.version for each in over}
        kept = {layer for each in manifests if each.version not in going and _names(each) for layer in each.layer_ids}
        names = {layer: each.version for each in over for layer in each.layer_ids if layer not in kept}
        return [
            LayerDrop(layer, f"Version {version}, which is retired, was the last to name it.", await self._bytes(layer))
            for layer, version in names.items()
        ]

    async def _bytes(self, layer: str) -> int:
        stats: dict[str, Any] = await self._layers.stats(layer)
        return int(stats.get("storageSize", 0)) + int(stats.get("totalIndexSize", 0))


def _names(snapshot: Snapshot) -> bool:
    return snapshot.state is not SnapshotState.RETIRED or snapshot.retired_at is not None


def _held(price_list: PriceList) -> set[int]:
    """Return the versions that are current or pinned."""
    pinned = price_list.pin.version if price_list.pin else None
    return {version for version in (price_list.current_version, pinned) if version is not None}
