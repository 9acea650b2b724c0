"""The state changes of a batch, each as part of a transaction: pointer, event, manifest and batch change together."""

import datetime
from typing import Any, NamedTuple

from msgspec.structs import replace
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.batch import Batch, BatchMode, Refusal
from storage.batches.publish_time import instant_text
from storage.batches.repository import BatchRepository
from storage.batches.states import BatchState
from storage.catalog.events import Event, EventKind, EventRepository
from storage.catalog.gates import Facts
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.snapshots import Snapshot, SnapshotRepository, SnapshotState
from storage.catalog.transactions import event_of
from storage.errors import BatchNotHeld, SnapshotNotFound
from storage.mongodb.transaction import instant


class Transition(NamedTuple):
    """A price list and a batch after a state change, and the event that records it."""

    price_list: PriceList
    batch: Batch
    event: Event


class BatchTransitions:
    """Writes the state changes of batches. `batch_fields` are further fields of the batch, such as its findings.

    Every method raises `LeaseLost` if this process no longer holds the batch.
    """

    def __init__(
        self,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        events: EventRepository,
        batches: BatchRepository,
    ) -> None:
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._events = events
        self._batches = batches

    async def add_snapshot(
        self, batch: Batch, price_list: PriceList, base: Snapshot | None, size: int, session: AsyncClientSession
    ) -> Snapshot:
        """Write the manifest of the next version; see `next_version`."""
        snapshot = next_version(batch, price_list, base, size)
        await self._snapshots.add(snapshot, session)
        return snapshot

    async def publish(
        self,
        batch: Batch,
        price_list: PriceList,
        snapshot: Snapshot,
        session: AsyncClientSession,
        *,
        kind: EventKind,
        by: str,
        reason: str | None = None,
        **batch_fields: Any,
    ) -> Transition:
        """Make the version of a batch current."""
        version = snapshot.version
        moved = await self._price_lists.move(
            price_list,
            session,
            current_version=version,
            published_version=version,
            last_version=max(version, price_list.last_version),
            next_change_at=await self._next_change(price_list, batch, None, session),
        )
        await self._snapshots.mark_published(price_list.name, version, moved.moved_at, session)
        event = event_of(price_list, moved, kind, by, batch=batch.id, version=version, reason=reason)
        await self._events.append(event, session)
        published = await self._batches.advance(
            batch,
            BatchState.PUBLISHED,
            session,
            version=version,
            revision=moved.revision,
            finished_at=moved.moved_at,
            **batch_fields,
        )
        return Transition(moved, published, event)

    async def hold(
        self,
        batch: Batch,
        price_list: PriceList,
        snapshot: Snapshot,
        session: AsyncClientSession,
        **batch_fields: Any,
    ) -> Transition:
        """Let a batch wait with its version until it is due, approved, rejected, unpinned or released."""
        publish_at = batch_fields.get("publish_at", batch.publish_at)
        next_change_at = await self._next_change(price_list, batch, publish_at, session)
        moved = await self._price_lists.move(
            price_list, session, last_version=snapshot.version, next_change_at=next_change_at
        )
        version, by = snapshot.version, batch.submitted_by
        reason = f"It waits in release {batch.release}." if batch.release else None
        if publish_at and not batch.release:
            reason = f"It is scheduled for {instant_text(publish_at)}."
        event = event_of(price_list, moved, EventKind.HELD, by, batch=batch.id, version=version, reason=reason)
        await self._events.append(event, session)
        held = await self._batches.advance(batch, BatchState.HELD, session, version=version, **batch_fields)
        return Transition(moved, held, event)

    async def end(
        self,
        batch: Batch,
        price_list: PriceList,
        state: BatchState,
        refusal: Refusal,
        session: AsyncClientSession,
        *,
        by: str,
        **batch_fields: Any,
    ) -> Transition:
        """End a batch without publishing it: `state` is REJECTED, FAILED or ABORTED."""
        next_change_at = await self._next_change(price_list, batch, None, session)
        moved = await self._price_lists.move(price_list, session, next_change_at=next_change_at)
        kind, version = EventKind(state), batch.version
        event = event_of(price_list, moved, kind, by, batch=batch.id, version=version, reason=refusal.message)
        await self._events.append(event, session)
        ended = await self._batches.advance(
            batch, state, session, finished_at=moved.moved_at, refusal=refusal, **batch_fields
        )
        return Transition(moved, ended, event)

    async def end_dry_run(self, batch: Batch, session: AsyncClientSession, **batch_fields: Any) -> Batch:
        """End a dry run as ABORTED, with its findings. The pointer stays as it is, and there is no event."""
        return await self._batches.advance(batch, BatchState.ABORTED, session, finished_at=instant(), **batch_fields)

    async def publish_held(
        self,
        batch: Batch,
        price_list: PriceList,
        base: Snapshot | None,
        facts: Facts,
        session: AsyncClientSession,
        *,
        kind: EventKind,
        by: str,
        reason: str | None,
    ) -> Transition:
        """Make the version of a held batch current.

        It gets a new version if another base became current, or a higher version was published.
        """
        base_version = base.version if base else None
        snapshot = await self._held_snapshot(batch, price_list, session)
        if base_version != batch.base or snapshot.version <= price_list.published_version:
            snapshot = await self._renumber(snapshot, batch, price_list, base, facts, session)
        return await self.publish(
            batch,
            price_list,
            snapshot,
            session,
            kind=kind,
            by=by,
            reason=reason,
            summary=facts.summary,
            base=base_version,
        )

    async def reject_held(
        self, batch: Batch, price_list: PriceList, refusal: Refusal, session: AsyncClientSession, *, by: str
    ) -> Transition:
        """Reject a held batch, and withdraw its version."""
        snapshot = await self._held_snapshot(batch, price_list, session)
        await self._snapshots.withdraw(price_list.name, [snapshot.version], session)
        return await self.end(batch, price_list, BatchState.REJECTED, refusal, session, by=by)

    async def reschedule(
        self,
        batch: Batch,
        price_list: PriceList,
        publish_at: datetime.datetime | None,
        session: AsyncClientSession,
        *,
        kind: EventKind,
        by: str,
        reason: str,
        **batch_fields: Any,
    ) -> Transition:
        """Give a held batch another instant, or with None take its schedule away: it then waits for a review."""
        next_change_at = await self._next_change(price_list, batch, publish_at, session)
        moved = await self._price_lists.move(price_list, session, next_change_at=next_change_at)
        event = event_of(price_list, moved, kind, by, batch=batch.id, version=batch.version, reason=reason)
        await self._events.append(event, session)
        amended = await self._batches.amend_held(batch, session, publish_at=publish_at, **batch_fields)
        return Transition(moved, amended, event)

    async def hold_by_pin(
        self,
        batch: Batch,
        price_list: PriceList,
        base: Snapshot | None,
        facts: Facts,
        session: AsyncClientSession,
        *,
        reason: str,
        **batch_fields: Any,
    ) -> Transition:
        """Take the schedule of a batch away that is due, but that a pin holds.

        It gets a new version unless it has the newest: batches that a pin holds are superseded in the order of their
        versions, and none that was held before is newer than this one.
        """
        base_version = base.version if base else None
        snapshot = await self._held_snapshot(batch, price_list, session)
        if snapshot.version < price_list.last_version:
            snapshot = await self._renumber(snapshot, batch, price_list, base, facts, session)
            batch_fields |= {
                "version": snapshot.version,
                "base": base_version,
                "summary": facts.summary,
                "facts": facts,
            }
        return await self.reschedule(
            replace(batch, version=snapshot.version),
            replace(price_list, last_version=snapshot.version),
            None,
            session,
            kind=EventKind.HELD,
            by=batch.submitted_by,
            reason=reason,
            held_by_pin=True,
            **batch_fields,
        )

    async def _renumber(
        self,
        snapshot: Snapshot,
        batch: Batch,
        price_list: PriceList,
        base: Snapshot | None,
        facts: Facts,
        session: AsyncClientSession,
    ) -> Snapshot:
        """Withdraw the version of a held batch, and write the next one, on `base`, in its place."""
        await self._snapshots.withdraw(price_list.name, [snapshot.version], session)
        return await self.add_snapshot(batch, price_list, base, facts.size, session)

    async def _next_change(
        self, price_list: PriceList, batch: Batch, publish_at: datetime.datetime | None, session: AsyncClientSession
    ) -> datetime.datetime | None:
        """Return when the next scheduled batch of a list is due, once `batch` is scheduled for `publish_at`, or not."""
        next_change_at = None
        if price_list.next_change_at:  # otherwise no batch of the list is scheduled
            next_change_at = await self._batches.next_due(price_list.name, session, besides=batch.id)
        return min(filter(None, (next_change_at, publish_at)), default=None)

    async def _held_snapshot(self, batch: Batch, price_list: PriceList, session: AsyncClientSession) -> Snapshot:
        if batch.version is None:
            raise BatchNotHeld(batch.id, batch.state)
        snapshot = await self._snapshots.get(price_list.name, batch.version, session)
        if snapshot is None:
            raise SnapshotNotFound(price_list.name, batch.version)
        return snapshot


def next_version(batch: Batch, price_list: PriceList, base: Snapshot | None, size: int) -> Snapshot:
    """Return the manifest of the next version: the layer of a batch, for a merge on top of those of `base`."""
    if batch.layer is None:
        raise AssertionError(f"Batch {batch.id} is not sealed.")
    below = base.layers if base and batch.mode is BatchMode.MERGE else ()
    return Snapshot(
        price_list=price_list.name,
        version=price_list.last_version + 1,
        layers=(batch.layer, *below),
        size=size,
        state=SnapshotState.SEALED,
        created_at=instant(),
        published_at=None,
        label=batch.label,
        batch=batch.id,
        base=base.version if base else None,
    )
