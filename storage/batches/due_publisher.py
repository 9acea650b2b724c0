"""Publishing the scheduled batches that are due.

The transaction decides: it looks for the first batch of the list that is due by the time of the database, checks it
again, and publishes it or holds it for review. So batches go in order, none goes early, and of several processes that
try it at once one does it. Which process tries it, and when, is up to `storage.maintenance.publication_schedule`.
"""

from dataclasses import dataclass

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.assessment import (
    APPROVAL_GATE,
    EXPECTED_VERSION_GATE,
    PIN_GATE,
    facts_of,
    objections_when_due,
)
from storage.batches.batch import Batch
from storage.batches.comparison import BatchComparer, Comparison
from storage.batches.metrics import StorageMetrics
from storage.batches.publish_time import ended_finding, instant_text, without_schedule
from storage.batches.rebasing import Rebaser
from storage.batches.repository import BatchRepository
from storage.batches.throttle import MergeThrottle
from storage.batches.transitions import BatchTransitions, Transition
from storage.catalog.events import Event, EventKind, EventRepository
from storage.catalog.gates import Facts, GateFinding, Severity
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.snapshots import Snapshot, SnapshotRepository, current_snapshot
from storage.catalog.transactions import MAX_REASON_LENGTH
from storage.mongodb.connection import Client, explain
from storage.mongodb.transaction import commit

REASONS = {PIN_GATE: "pin", APPROVAL_GATE: "approval", EXPECTED_VERSION_GATE: "expected_version"}
"""Why a schedule ended without a publish, by the gate of the finding; any other is `gate`."""

UNREADABLE = "unreadable"
"""The reason for a batch that cannot be read."""

UNEXPECTED = "An unexpected error occurred. The log of the server that tried it last has the error."
"""The message of a finding about an error that is not meant for users."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that was compared with the current version before it is due."""

    batch: Batch
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class DueOutcome:
    """A batch that was due, before and after it was published or held, and the event that records it.

    `reasons` are why it was held for review.
    """

    before: Batch
    batch: Batch
    event: Event
    reasons: frozenset[str] = frozenset()


class DuePublisher:
    """Publishes the scheduled batches that are due, or holds them for review."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        events: EventRepository,
        comparer: BatchComparer,
        transitions: BatchTransitions,
        throttle: MergeThrottle,
        rebaser: Rebaser,
        metrics: StorageMetrics,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._batches = batches
        self._events = events
        self._comparer = comparer
        self._transitions = transitions
        self._throttle = throttle
        self._rebaser = rebaser
        self._metrics = metrics

    async def prepare(self, batch_id: str) -> Prepared:
        """Compare a batch with the current version before it is due, so that less is left to do then.

        Raises `BatchNotFound`, `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        batch = await self._batches.get(batch_id)
        return Prepared(batch, await self._comparer.compare(batch, await self._current(batch.price_list)))

    async def throttle(self, name: str) -> None:
        """Wait if the first batch of a list that is due is a merge, and compaction does not keep up.

        Raises `PriceListNotFound`, `UnknownFormat`.
        """
        if batch := await self._batches.first_due(name):
            await self._throttle.wait(batch, await self._current(name))

    async def publish_first_due(self, name: str, prepared: Prepared | None = None) -> DueOutcome | None:
        """Publish the first batch of a list that is due, or hold it for review; return None if none is due.

        Also if the first one is published with a release (`storage.releases.due`).

        Raises `PriceListNotFound`, `SnapshotNotFound`, `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        known = prepared.comparison if prepared else None
        outcome = await self._rebaser.run(name, lambda compared: self._publish(name, compared), comparison=known)
        if outcome:
            self._count(outcome)
        return outcome

    async def _publish(self, name: str, comparison: Comparison | None) -> DueOutcome | None:
        async def act(session: AsyncClientSession) -> DueOutcome | None:
            price_list = await self._price_lists.get(name, session)
            batch = await self._batches.first_due(name, session)
            if batch is None or batch.publish_at is None or batch.release is not None:
                return None
            base = await self._snapshots.current(name, price_list.current_version, session)
            facts = facts_of(batch, comparison, base)
            objections = objections_when_due(batch, price_list, facts)
            if objections:
                held = await self._hold_due(batch, price_list, base, facts, objections, session)
                return DueOutcome(batch, held.batch, held.event, _reasons(objections))
            published = await self._transitions.publish_held(
                batch,
                price_list,
                base,
                facts,
                session,
                kind=EventKind.PUBLISHED,
                by=batch.submitted_by,
                reason=f"It was scheduled for {instant_text(batch.publish_at)}.",
            )
            return DueOutcome(batch, published.batch, published.event)

        return await commit(self._client, act, self._is_stored)

    async def hold_unreadable(self, batch_id: str, error: Exception) -> None:
        """Take the schedule of a batch away because it cannot be published, and hold it for review.

        Raises `BatchNotFound`, `BatchNotHeld`, `PriceListNotFound`.
        """
        name = (await self._batches.get(batch_id)).price_list
        known = explain(error)
        message = known.message if known else UNEXPECTED

        async def act(session: AsyncClientSession) -> DueOutcome | None:
            price_list = await self._price_lists.get(name, session)
            batch = await self._batches.get_held(batch_id, session)
            if not batch.is_scheduled:
                return None
            finding = ended_finding(f"It cannot be published: {message}", Severity.HOLD)
            held = await self._hold(batch, price_list, [finding], session)
            return DueOutcome(batch, held.batch, held.event, frozenset({UNREADABLE}))

        outcome = await commit(self._client, act, self._is_stored)
        if outcome:
            self._count(outcome)

    async def _hold_due(
        self,
        batch: Batch,
        price_list: PriceList,
        base: Snapshot | None,
        facts: Facts,
        objections: list[GateFinding],
        session: AsyncClientSession,
    ) -> Transition:
        """Hold a batch that is due: with the newest version if nothing but a pin is against it."""
        if {finding.gate for finding in objections} != {PIN_GATE}:
            return await self._hold(batch, price_list, objections, session)
        reason, findings = _ended(batch, objections)
        return await self._transitions.hold_by_pin(
            batch, price_list, base, facts, session, reason=reason, findings=findings, approval=None
        )

    async def _hold(
        self, batch: Batch, price_list: PriceList, objections: list[GateFinding], session: AsyncClientSession
    ) -> Transition:
        """Take the schedule of a batch away, and note what stands against it."""
        reason, findings = _ended(batch, objections)
        return await self._transitions.reschedule(
            batch,
            price_list,
            None,
            session,
            kind=EventKind.HELD,
            by=batch.submitted_by,
            reason=reason,
            findings=findings,
            held_by_pin=False,
            approval=None,
        )

    async def _current(self, name: str) -> Snapshot | None:
        return await current_snapshot(self._price_lists, self._snapshots, name)

    async def _is_stored(self, outcome: DueOutcome | None) -> bool:
        """Whether the transaction with this result was committed."""
        return outcome is None or await self._events.exists(outcome.event)

    def _count(self, outcome: DueOutcome) -> None:
        for reason in outcome.reasons:
            self._metrics.schedules_held[outcome.batch.price_list, reason] += 1
        if outcome.batch.finished_at and outcome.batch.publish_at:
            self._metrics.count_batch(outcome.before, outcome.batch)
            self._metrics.lateness.add((outcome.batch.finished_at - outcome.batch.publish_at).total_seconds())


def _reasons(objections: list[GateFinding]) -> frozenset[str]:
    return frozenset(REASONS.get(finding.gate, "gate") for finding in objections)


def _ended(batch: Batch, objections: list[GateFinding]) -> tuple[str, list[GateFinding]]:
    """Return the reason of the event, and the findings, of a batch whose schedule ended with `objections`."""
    due = ended_finding(f"It was due at {instant_text(batch.publish_at)}." if batch.publish_at else "It was due.")
    earlier = [finding for finding in without_schedule(batch.findings) if finding.severity is Severity.INFO]
    messages = " ".join([due.message, *(finding.message for finding in objections)])
    return messages[:MAX_REASON_LENGTH], [*earlier, *objections, due]
