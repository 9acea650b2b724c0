"""Operations: the acts of ops on a pointer. Each is one transaction of the pointer and its event; nothing is copied."""

from dataclasses import replace

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.events import EventKind, EventRepository
from storage.catalog.price_lists import Pin, PriceList, PriceListRepository
from storage.catalog.snapshots import SnapshotRepository, SnapshotState
from storage.catalog.transactions import check_reason, event_of
from storage.errors import AlreadyCurrent, NotPinned, SnapshotExpired, SnapshotNeverPublished, SnapshotNotFound
from storage.mongodb.connection import Client, Database
from storage.mongodb.transaction import in_transaction, instant


class PointerMoves:
    """Rolls back, pins and unpins."""

    def __init__(self, client: Client, db: Database) -> None:
        self._client = client
        self._price_lists = PriceListRepository(db)
        self._snapshots = SnapshotRepository(db)
        self._events = EventRepository(db)

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
        check_reason(reason)

        async def act(session: AsyncClientSession) -> PriceList:
            price_list = await self._price_lists.get(name, session)
            price_list.expect(expected_version)
            if to_version == price_list.current_version:
                raise AlreadyCurrent(name, to_version)
            await self._check_published(name, to_version, session)
            now = instant()
            kept = price_list.pin and replace(price_list.pin, version=to_version)
            held = Pin(to_version, reason, by, now) if pin else kept
            moved = await self._price_lists.move(price_list, session, current_version=to_version, pin=held)
            await self._events.append(
                event_of(price_list, moved, EventKind.ROLLED_BACK, by, now, reason=reason), session
            )
            return moved

        return await in_transaction(self._client, act)

    async def pin(self, name: str, version: int, *, by: str, reason: str) -> PriceList:
        """Make a version current, if it is not, and hold it: batches are sealed and wait.

        Raises `SnapshotNotFound`, `SnapshotExpired`, `SnapshotNeverPublished`.
        """
        check_reason(reason)

        async def act(session: AsyncClientSession) -> PriceList:
            price_list = await self._price_lists.get(name, session)
            await self._check_published(name, version, session)
            now = instant()
            moved = await self._price_lists.move(
                price_list, session, current_version=version, pin=Pin(version, reason, by, now)
            )
            await self._events.append(event_of(price_list, moved, EventKind.PINNED, by, now, reason=reason), session)
            return moved

        return await in_transaction(self._client, act)

    async def unpin(self, name: str, *, by: str, reason: str) -> PriceList:
        """Let the pointer go: the next batch is published again. Raises `NotPinned`."""
        check_reason(reason)

        async def act(session: AsyncClientSession) -> PriceList:
            return await self.clear_pin(await self._price_lists.get(name, session), by, reason, session)

        return await in_transaction(self._client, act)

    async def clear_pin(self, price_list: PriceList, by: str, reason: str, session: AsyncClientSession) -> PriceList:
        """Unpin a list, as part of a transaction. Raises `NotPinned`."""
        if not price_list.pin:
            raise NotPinned(price_list.name)
        moved = await self._price_lists.move(price_list, session, pin=None)
        await self._events.append(
            event_of(price_list, moved, EventKind.UNPINNED, by, instant(), reason=reason), session
        )
        return moved

    async def _check_published(self, name: str, version: int, session: AsyncClientSession) -> None:
        snapshot = await self._snapshots.get(name, version, session)
        if snapshot is None:
            raise SnapshotNotFound(name, version)
        if snapshot.state is SnapshotState.RETIRED:
            raise SnapshotExpired(name, version)
        if snapshot.published_at is None:
            raise SnapshotNeverPublished(name, version)
