"""The only mover of pointers. Each act is one transaction: the pointer, its event, the manifest and the batch's state.

Whoever reads a pointer as a majority has it therefore sees all of an act or nothing of it, and what was acknowledged
survives the loss of any minority of the members (`w: majority, j: true`).
"""

import datetime
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from storage.batches import Batch, Batches, Refusal
from storage.errors import (
    AlreadyCurrent,
    Conflict,
    InvalidArgument,
    NotPinned,
    PriceListExists,
    SnapshotExpired,
    SnapshotNeverPublished,
    SnapshotNotFound,
)
from storage.events import Event, EventKind, Events
from storage.mongo import DURABLE, Client, Database
from storage.pointers import Pin, Pointers, PriceList, check_name
from storage.snapshots import Snapshot, Snapshots, SnapshotState
from storage.states import BatchState

T = TypeVar("T")

MAX_REASON = 1000


class Publisher:
    """Creates lists, publishes batches, rolls back, pins and unpins."""

    def __init__(self, client: Client, db: Database) -> None:
        self._client = client
        self._pointers = Pointers(db)
        self._snapshots = Snapshots(db)
        self._events = Events(db)
        self._batches = Batches(db)

    async def create(self, name: str, description: str | None, by: str) -> PriceList:
        """Create an empty list. Raises `InvalidArgument` for the name, `PriceListExists`."""
        check_name(name)
        now = _now()
        price_list = PriceList(name, description, None, 0, 1, None, now)

        async def act(session: AsyncClientSession) -> PriceList:
            await self._pointers.add(price_list, session)
            await self._events.append(Event(name, 1, EventKind.CREATED, now, by), session)
            return price_list

        try:
            return await self._transaction(act)
        except DuplicateKeyError as error:
            raise PriceListExists(name) from error

    async def publish(self, batch: Batch) -> Batch:
        """Give a batch whose layer is sealed a version, and make it current.

        A list that is pinned holds the batch instead; one whose current version is not the one that the batch
        expected rejects it. Raises `LeaseLost` when another process has taken the batch over.
        """

        async def act(session: AsyncClientSession) -> Batch:
            price_list = await self._pointers.get(batch.price_list, session)
            try:
                price_list.expect(batch.expected_version)
            except Conflict as conflict:
                return await self._reject(batch, price_list, Refusal(conflict.code, conflict.message), session)
            snapshot = _manifest(batch, price_list)
            await self._snapshots.add(snapshot, session)
            if price_list.pin:
                return await self._hold(batch, price_list, snapshot, session)
            return await self._make_current(batch, price_list, snapshot, session)

        try:
            return await self._transaction(act)
        except PyMongoError:
            # The commit's outcome may be unknown; the batch's own record, written with the pointer, knows it.
            outcome = await self._batches.get(batch.id)
            if outcome.state == batch.state:
                raise
            return outcome

    async def _make_current(
        self, batch: Batch, price_list: PriceList, snapshot: Snapshot, session: AsyncClientSession
    ) -> Batch:
        version, now = snapshot.version, _now()
        moved = await self._pointers.move(price_list, session, current_version=version, last_version=version)
        await self._snapshots.mark_published(price_list.name, version, now, session)
        await self._events.append(
            _event(price_list, moved, EventKind.PUBLISHED, batch.submitted_by, now, batch=batch.id), session
        )
        return await self._batches.advance(
            batch, BatchState.PUBLISHED, session, version=version, finished_at=now, stored=batch.size
        )

    async def _hold(
        self, batch: Batch, price_list: PriceList, snapshot: Snapshot, session: AsyncClientSession
    ) -> Batch:
        moved = await self._pointers.move(price_list, session, last_version=snapshot.version)
        await self._events.append(
            _event(price_list, moved, EventKind.HELD, batch.submitted_by, _now(), batch=batch.id), session
        )
        return await self._batches.advance(batch, BatchState.HELD, session, version=snapshot.version, stored=batch.size)

    async def _reject(
        self, batch: Batch, price_list: PriceList, refusal: Refusal, session: AsyncClientSession
    ) -> Batch:
        now = _now()
        moved = await self._pointers.move(price_list, session)
        await self._events.append(
            _event(
                price_list,
                moved,
                EventKind.REJECTED,
                batch.submitted_by,
                now,
                batch=batch.id,
                reason=refusal.message,
            ),
            session,
        )
        return await self._batches.advance(
            batch, BatchState.REJECTED, session, finished_at=now, refusal=refusal, stored=batch.size
        )

    async def fail(self, batch: Batch, refusal: Refusal, **changes: object) -> Batch:
        """Note that a batch came to nothing. `changes` are further fields of the batch, such as its errors."""

        async def act(session: AsyncClientSession) -> Batch:
            now = _now()
            price_list = await self._pointers.get(batch.price_list, session)
            moved = await self._pointers.move(price_list, session)
            event = _event(
                price_list,
                moved,
                EventKind.FAILED,
                batch.submitted_by,
                now,
                batch=batch.id,
                reason=refusal.message,
            )
            await self._events.append(event, session)
            return await self._batches.advance(
                batch, BatchState.FAILED, session, finished_at=now, refusal=refusal, **changes
            )

        return await self._transaction(act)

    async def rollback(
        self,
        name: str,
        to_version: int,
        *,
        by: str,
        reason: str,
        expected_version: int | None = None,
        pin: bool = True,
    ) -> PriceList:
        """Make an earlier version current again; nothing is copied. Pins it, unless told otherwise.

        Raises `Conflict`, `AlreadyCurrent`, `SnapshotNotFound`, `SnapshotExpired`, `SnapshotNeverPublished`.
        """
        _check_reason(reason)

        async def act(session: AsyncClientSession) -> PriceList:
            price_list = await self._pointers.get(name, session)
            price_list.expect(expected_version)
            if to_version == price_list.current_version:
                raise AlreadyCurrent(name, to_version)
            await self._check_published(name, to_version, session)
            now = _now()
            kept = price_list.pin and replace(price_list.pin, version=to_version)
            held = Pin(to_version, reason, by, now) if pin else kept
            moved = await self._pointers.move(price_list, session, current_version=to_version, pin=held)
            await self._events.append(_event(price_list, moved, EventKind.ROLLED_BACK, by, now, reason=reason), session)
            return moved

        return await self._transaction(act)

    async def pin(self, name: str, version: int, *, by: str, reason: str) -> PriceList:
        """Make a version current, if it is not, and hold it: batches are sealed and wait.

        Raises `SnapshotNotFound`, `SnapshotExpired`, `SnapshotNeverPublished`.
        """
        _check_reason(reason)

        async def act(session: AsyncClientSession) -> PriceList:
            price_list = await self._pointers.get(name, session)
            await self._check_published(name, version, session)
            now = _now()
            moved = await self._pointers.move(
                price_list, session, current_version=version, pin=Pin(version, reason, by, now)
            )
            await self._events.append(_event(price_list, moved, EventKind.PINNED, by, now, reason=reason), session)
            return moved

        return await self._transaction(act)

    async def unpin(self, name: str, *, by: str, reason: str) -> PriceList:
        """Let the pointer go: the next batch is published again. Raises `NotPinned`."""
        _check_reason(reason)

        async def act(session: AsyncClientSession) -> PriceList:
            price_list = await self._pointers.get(name, session)
            if not price_list.pin:
                raise NotPinned(name)
            moved = await self._pointers.move(price_list, session, pin=None)
            await self._events.append(_event(price_list, moved, EventKind.UNPINNED, by, _now(), reason=reason), session)
            return moved

        return await self._transaction(act)

    async def _check_published(self, name: str, version: int, session: AsyncClientSession) -> None:
        snapshot = await self._snapshots.get(name, version, session)
        if snapshot is None:
            raise SnapshotNotFound(name, version)
        if snapshot.state is SnapshotState.RETIRED:
            raise SnapshotExpired(name, version)
        if snapshot.published_at is None:
            raise SnapshotNeverPublished(name, version)

    async def _transaction(self, act: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        """Run `act` in a transaction; the driver begins again after a write conflict or an election."""
        async with self._client.start_session() as session:
            return await session.with_transaction(act, read_concern=ReadConcern("snapshot"), write_concern=DURABLE)


def _manifest(batch: Batch, price_list: PriceList) -> Snapshot:
    if batch.size is None or batch.checksum is None:
        raise AssertionError(f"Batch {batch.id} is not sealed.")
    return Snapshot(
        price_list=price_list.name,
        version=price_list.last_version + 1,
        layers=(batch.layer,),
        size=batch.size,
        checksum=batch.checksum,
        state=SnapshotState.SEALED,
        created_at=_now(),
        published_at=None,
        label=batch.label,
        batch=batch.id,
        base=price_list.current_version,
    )


def _event(
    seen: PriceList,
    moved: PriceList,
    kind: EventKind,
    by: str,
    at: datetime.datetime,
    *,
    reason: str | None = None,
    batch: str | None = None,
) -> Event:
    return Event(seen.name, moved.revision, kind, at, by, reason, seen.current_version, moved.current_version, batch)


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason.strip()) <= MAX_REASON:
        raise InvalidArgument(f"Give a reason of 1 to {MAX_REASON} characters.", path=("input", "reason"))


def _now() -> datetime.datetime:
    # Milliseconds, as BSON keeps them.
    now = datetime.datetime.now(datetime.UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
