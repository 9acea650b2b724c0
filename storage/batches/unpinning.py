"""Unpinning a list with `publishLatest`: the newest batch that only the pin held is published, the others superseded.

One transaction unpins and publishes, however many batches wait: it marks the list with the version of the batch that it
publishes. From then on the batches below that version can be neither approved nor rejected. Further transactions, each
of a few batches, reject them; any process can repeat these, and the last removes the mark. A batch that a pin holds
later is not concerned, because its version is higher: a scheduled batch that was sealed before gets a new version when
it is due and the pin holds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace
from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.assessment import check_publishable, facts_of
from storage.batches.batch import Batch, Refusal
from storage.batches.comparison import Comparison
from storage.batches.repository import BatchRepository
from storage.batches.states import BatchState
from storage.batches.transitions import BatchTransitions
from storage.catalog.events import Event, EventKind, EventRepository
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.rollback import PointerMoves
from storage.catalog.snapshots import SnapshotRepository
from storage.catalog.transactions import event_of
from storage.errors import Refused, shown

MAX_ENDED_AT_ONCE = 50
"""Superseded batches that one transaction rejects."""


class BatchConflict(Refused):
    """The newest batch held by a pin is not the one that the caller expected."""

    code = "CONFLICT"

    def __init__(self, price_list: str, expected: str, found: str | None) -> None:
        super().__init__(
            f"Batch {shown(expected)} of {price_list!r} was expected to be the newest that only the pin holds, but "
            f"{'none is held' if found is None else f'batch {found} is'}. Review the change and try again.",
            path=("input", "expectedBatch"),
        )


@dataclass(frozen=True, slots=True)
class ExpectedLatest:
    """The version that must be current, and the batch that must be the newest waiting one; None expects nothing."""

    version: int | None = None
    batch: str | None = None

    def check(self, price_list: PriceList, waiting: Sequence[Batch]) -> None:
        """Raise `Conflict` or `BatchConflict` unless the list, and its batches, newest first, are as expected."""
        price_list.expect(self.version)
        newest = waiting[0].id if waiting else None
        if self.batch not in (None, newest):
            raise BatchConflict(price_list.name, self.batch, newest)


ANY_LATEST = ExpectedLatest()


@dataclass(frozen=True, slots=True)
class Unpinned:
    """A list after it was unpinned, and the batch that was published: as it was, and as it is. None without one.

    `event` is that of the unpinning.
    """

    price_list: PriceList
    event: Event
    held: Batch | None = None
    published: Batch | None = None


class Unpinning:
    """The parts of the transactions of an unpin with `publishLatest`."""

    def __init__(
        self,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        events: EventRepository,
        batches: BatchRepository,
        pointer_moves: PointerMoves,
        transitions: BatchTransitions,
    ) -> None:
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._events = events
        self._batches = batches
        self._pointer_moves = pointer_moves
        self._transitions = transitions

    async def publish_latest(
        self,
        name: str,
        comparison: Comparison | None,
        expected: ExpectedLatest,
        by: str,
        reason: str,
        session: AsyncClientSession,
    ) -> Unpinned:
        """Unpin a list, publish the newest batch that only the pin held, and mark the others as superseded.

        Raises `PriceListNotFound`, `NotPinned`, `Conflict`, `BatchConflict`, `BaseMoved`, `LatestHeld`, `Corrupt`.
        """
        price_list = await self._price_lists.get(name, session)
        before = price_list.superseded_before
        waiting = await self._batches.waiting(price_list, 2, session=session) if price_list.pin else []
        if price_list.pin:
            expected.check(price_list, waiting)
        if not waiting:
            unpinned = await self._pointer_moves.clear_pin(price_list, by, reason, session)
            return Unpinned(unpinned.price_list, unpinned.event)
        latest, *others = waiting
        base = await self._snapshots.current(price_list.name, price_list.current_version, session)
        facts = facts_of(latest, comparison, base)
        check_publishable(latest, price_list, facts)
        unpinned = await self._pointer_moves.clear_pin(
            price_list, by, reason, session, superseded_before=latest.version if others else before
        )
        kind = EventKind.PUBLISHED
        published = await self._transitions.publish_held(
            latest, unpinned.price_list, base, facts, session, kind=kind, by=by, reason=reason
        )
        return Unpinned(published.price_list, unpinned.event, latest, published.batch)

    async def is_stored(self, unpinned: Unpinned) -> bool:
        """Whether the transaction with this result was committed."""
        return await self._events.exists(unpinned.event)

    async def end_superseded(
        self, name: str, by: str, session: AsyncClientSession
    ) -> tuple[list[tuple[Batch, Batch]], bool]:
        """Reject up to `MAX_ENDED_AT_ONCE` superseded batches of a list, with one write to each collection.

        Returns these batches, before and after, and whether some are left. Raises `PriceListNotFound`.
        """
        price_list = await self._price_lists.get(name, session)
        before = price_list.superseded_before
        if before is None:
            return [], False
        held = await self._batches.superseded(name, before, MAX_ENDED_AT_ONCE + 1, session)
        are_left = len(held) > MAX_ENDED_AT_ONCE
        del held[MAX_ENDED_AT_ONCE:]
        moved = await self._price_lists.move(
            price_list, session, events=len(held), superseded_before=before if are_left else None
        )
        rejected = await self._reject(held, before, price_list, moved, by, session) if held else []
        return list(zip(held, rejected, strict=True)), are_left

    async def _reject(
        self, held: list[Batch], before: int, seen: PriceList, moved: PriceList, by: str, session: AsyncClientSession
    ) -> list[Batch]:
        newer = await self._snapshots.get(seen.name, before, session)
        published = f"Batch {newer.batch}" if newer else "A newer batch"
        refusal = Refusal("SUPERSEDED", f"{published} was published instead when the list was unpinned.")
        kind = EventKind.REJECTED
        events = [
            replace(
                event_of(seen, moved, kind, by, batch=batch.id, version=batch.version, reason=refusal.message),
                revision=revision,
            )
            for revision, batch in enumerate(held, seen.revision + 1)
        ]
        versions = [batch.version for batch in held if batch.version is not None]
        await self._snapshots.withdraw(seen.name, versions, session)
        await self._events.append_all(events, session)
        return await self._batches.advance_held(
            held, BatchState.REJECTED, session, finished_at=moved.moved_at, refusal=refusal
        )
