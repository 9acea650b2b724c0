"""Rollback, pin and unpin: each is one transaction of a pointer and its event."""

from dataclasses import replace
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.events import EventKind, EventRepository
from storage.catalog.price_lists import Pin, PriceList, PriceListRepository
from storage.catalog.snapshots import Snapshot, SnapshotRepository, SnapshotState
from storage.catalog.transactions import PointerChange, check_reason, commit_pointer_change, event_of
from storage.errors import AlreadyCurrent, NotPinned, SnapshotExpired, SnapshotNeverPublished, SnapshotNotFound
from storage.mongodb.connection import Client
from storage.mongodb.transaction import instant


class PointerMoves:
    """Rolls back, pins and unpins price lists."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        events: EventRepository,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._events = events

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
        """Make an earlier version current, and pin it unless `pin` is False; an existing pin moves with the pointer.

        Raises `Conflict`, `AlreadyCurrent`, `SnapshotNotFound`, `SnapshotExpired`, `SnapshotNeverPublished`.
        """
        check_reason(reason)

        async def act(session: AsyncClientSession) -> PointerChange:
            price_list = await self._price_lists.get(name, session)
            price_list.expect(expected_version)
            if to_version == price_list.current_version:
                raise AlreadyCurrent(name, to_version)
            await check_published(self._snapshots, name, to_version, session)
            moved_pin = price_list.pin and replace(price_list.pin, version=to_version)
            new_pin = Pin(to_version, reason, by, instant()) if pin else moved_pin
            changes = {"current_version": to_version, "pin": new_pin}
            return await self._move(price_list, EventKind.ROLLED_BACK, by, reason, session, **changes)

        return await commit_pointer_change(self._client, self._events, act)

    async def pin(
        self, name: str, version: int, *, by: str, reason: str, expected_version: int | None = None
    ) -> PriceList:
        """Make a version current and hold the pointer there: further batches are sealed and wait.

        Raises `Conflict`, `SnapshotNotFound`, `SnapshotExpired`, `SnapshotNeverPublished`.
        """
        check_reason(reason)

        async def act(session: AsyncClientSession) -> PointerChange:
            price_list = await self._price_lists.get(name, session)
            price_list.expect(expected_version)
            await check_published(self._snapshots, name, version, session)
            changes = {"current_version": version, "pin": Pin(version, reason, by, instant())}
            return await self._move(price_list, EventKind.PINNED, by, reason, session, **changes)

        return await commit_pointer_change(self._client, self._events, act)

    async def unpin(self, name: str, *, by: str, reason: str, expected_version: int | None = None) -> PriceList:
        """Release the pointer, so that the next batch is published. Raises `NotPinned`, `Conflict`."""
        check_reason(reason)

        async def act(session: AsyncClientSession) -> PointerChange:
            price_list = await self._price_lists.get(name, session)
            price_list.expect(expected_version)
            return await self.clear_pin(price_list, by, reason, session)

        return await commit_pointer_change(self._client, self._events, act)

    async def clear_pin(
        self, price_list: PriceList, by: str, reason: str, session: AsyncClientSession, **changes: Any
    ) -> PointerChange:
        """Unpin a list within a transaction, and write `changes` with it. Raises `NotPinned`."""
        if not price_list.pin:
            raise NotPinned(price_list.name)
        return await self._move(price_list, EventKind.UNPINNED, by, reason, session, pin=None, **changes)

    async def _move(
        self,
        seen: PriceList,
        kind: EventKind,
        by: str,
        reason: str,
        session: AsyncClientSession,
        **changes: Any,
    ) -> PointerChange:
        moved = await self._price_lists.move(seen, session, **changes)
        event = event_of(seen, moved, kind, by, reason=reason, version=moved.current_version)
        await self._events.append(event, session)
        return PointerChange(moved, event)


async def check_published(
    snapshots: SnapshotRepository, name: str, version: int, session: AsyncClientSession
) -> Snapshot:
    """Return the manifest of a version that was current and can be read.

    Raises `SnapshotNotFound`, `SnapshotExpired`, `SnapshotNeverPublished`.
    """
    snapshot = await snapshots.get(name, version, session)
    if snapshot is None:
        raise SnapshotNotFound(name, version)
    if snapshot.state is SnapshotState.RETIRED:
        raise SnapshotExpired(name, version)
    if snapshot.published_at is None:
        raise SnapshotNeverPublished(name, version)
    return snapshot
