"""Deleting price lists.

1. One transaction turns the document of the list into a tombstone (`storage.catalog.price_lists`), with an event, and
   takes the list out of the releases that are not published yet. From then on the list does not exist for any reader or
   writer: a transaction that was about to change it is repeated, and does not find it.
2. The purge removes its versions and batches, in rounds. The process that deleted the list starts it, and garbage
   collection repeats it until it is complete; every step can be repeated, and is safe in parallel. The layers are noted
   as orphans in the same transaction, and dropped once no reader can hold them.
3. The tombstone and the events stay. Once the purge is complete, the name can be created again.

A batch that is opened while its list is being deleted is removed by whichever process tries to finish or abort it
(`storage.batches.lifecycle`).
"""

import asyncio
import datetime
import logging
import math

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.removal import BatchRemoval
from storage.batches.repository import MAX_BATCHES_PER_QUERY, BatchRepository
from storage.catalog.events import EventKind, EventRepository
from storage.catalog.gates import Gates
from storage.catalog.price_lists import Deletion, PriceList, PriceListRepository
from storage.catalog.retention import DEFAULT_RETENTION
from storage.catalog.snapshots import SnapshotRepository
from storage.catalog.transactions import PointerChange, check_reason, commit_pointer_change, event_of
from storage.errors import Refused
from storage.maintenance.periodic import log_failure
from storage.mongodb.connection import Client
from storage.mongodb.locks import Locks
from storage.mongodb.transaction import in_transaction, instant
from storage.releases.unpublished import UnpublishedReleases

log = logging.getLogger("pricebook.deletion")

DELETE_IDLE_HOURS = 24
"""Hours without a publication before a list can be deleted without force."""

MAX_MANIFESTS_PER_STEP = 100
"""Number of manifests that one transaction of the purge removes."""

MAX_LISTS_PER_RUN = 100
"""Number of deleted lists that one run of garbage collection purges."""


class PriceListInUse(Refused):
    """The list to delete is still published to."""

    code = "PRICE_LIST_IN_USE"

    def __init__(self, name: str, use: str) -> None:
        super().__init__(
            f"The price list {name!r} is in use: {use}. Nothing was changed. Stop its senders and delete it later, or "
            "delete it with `force: true`.",
            path=("input", "name"),
        )


class PriceListDeleter:
    """Deletes price lists."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        events: EventRepository,
        removal: BatchRemoval,
        releases: UnpublishedReleases,
        locks: Locks,
        idle_hours: float = DELETE_IDLE_HOURS,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._batches = batches
        self._events = events
        self._removal = removal
        self._releases = releases
        self._locks = locks
        self._idle = datetime.timedelta(hours=idle_hours)

    async def delete(self, name: str, *, by: str, reason: str, force: bool = False) -> PriceList:
        """Delete a list, and return its tombstone. Its versions and batches are left to `purge`.

        With `force`, also if a batch was published a short time ago, is in progress, or waits in a release. Raises
        `InvalidArgument` for an invalid reason, `PriceListNotFound`, `PriceListInUse`.
        """
        check_reason(reason)

        async def act(session: AsyncClientSession) -> PointerChange:
            price_list = await self._price_lists.get(name, session)
            now = instant()
            if not force:
                await self._check_unused(price_list, now, session)
            deleted = await self._price_lists.move(
                price_list,
                session,
                description=None,
                current_version=None,
                published_version=0,
                pin=None,
                gates=Gates(),
                retention=DEFAULT_RETENTION,
                superseded_before=None,
                next_change_at=None,
                deletion=Deletion(now),
            )
            event = event_of(price_list, deleted, EventKind.DELETED, by, reason=reason)
            await self._events.append(event, session)
            await self._releases.remove_list(name, session)
            return PointerChange(deleted, event)

        return await commit_pointer_change(self._client, self._events, act)

    async def _check_unused(self, price_list: PriceList, now: datetime.datetime, session: AsyncClientSession) -> None:
        """Raise `PriceListInUse` if a batch was published a short time ago, is in progress, or waits in a release."""
        newest = await self._snapshots.get(price_list.name, price_list.published_version, session)
        if newest and newest.published_at and newest.published_at + self._idle > now:
            published_at = newest.published_at.strftime("%Y-%m-%d %H:%M UTC")
            hours = self._idle.total_seconds() / 3600
            use = f"version {newest.version} was published at {published_at}, less than {hours:g} hours ago"
            raise PriceListInUse(price_list.name, use)
        in_progress = (await self._batches.unfinished(price_list.name, session)).in_progress
        if in_progress:
            raise PriceListInUse(price_list.name, f"batches in progress: {in_progress}")
        if release := await self._releases.find_with_list(price_list.name, session):
            raise PriceListInUse(price_list.name, f"a batch of it waits in release {release}")

    async def purge(self, name: str, end: float = math.inf) -> None:
        """Remove the versions and batches of a deleted list. Does nothing for another list.

        No round starts after the one during which the clock of the event loop reaches `end`; the next purge goes on.
        """
        deleted = await self._price_lists.find_with_deleted(name)
        if deleted is None or deleted.deletion is None or deleted.deletion.purged:
            return
        while await self._purge_versions(deleted):
            if _is_over(end):
                return
        while batches := await self._batches.newest(MAX_BATCHES_PER_QUERY, price_list=name):
            # Otherwise another process has completed the purge, and they may be batches of a new list.
            if await self._price_lists.find_with_deleted(name) != deleted:
                return
            await self._removal.remove(batches)
            if _is_over(end):
                return
        for lock in ("publish", "retain", "schedule"):
            await self._locks.remove_if_expired(f"{lock}/{name}")
        await self._price_lists.note_purged(deleted)
        log.info("Removed all versions and batches of the deleted price list %s.", name)

    async def _purge_versions(self, deleted: PriceList) -> bool:
        """Remove some versions of a deleted list, in one transaction. Returns False if there was none."""

        async def act(session: AsyncClientSession) -> bool:
            return await self._snapshots.purge(deleted.name, deleted.last_version, MAX_MANIFESTS_PER_STEP, session)

        return await in_transaction(self._client, act)

    async def purge_all(self, seconds: float) -> None:
        """Purge the deleted lists whose purge is not complete. Starts no further list or round after `seconds`."""
        end = asyncio.get_running_loop().time() + seconds
        for name in await self._price_lists.to_purge(MAX_LISTS_PER_RUN):
            try:
                await self.purge(name, end)
            except Exception as error:  # continue with the other lists
                log_failure(log, f"Could not remove the versions of the deleted price list {name} yet", error)
            if _is_over(end):
                return


def _is_over(end: float) -> bool:
    return asyncio.get_running_loop().time() >= end
