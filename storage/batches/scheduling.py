"""Giving held batches another instant, and approving those that keep theirs."""

import datetime

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.approval import APPROVED_GATE, approval_of
from storage.batches.assessment import check_not_superseded
from storage.batches.batch import Batch
from storage.batches.in_release import BatchInRelease, ReleaseMembership
from storage.batches.publish_time import (
    check_offset,
    check_publish_at,
    ended_finding,
    in_milliseconds,
    scheduled_finding,
    without_schedule,
)
from storage.batches.repository import BatchRepository
from storage.batches.states import BatchState
from storage.batches.transitions import BatchTransitions, Transition
from storage.catalog.events import EventKind, EventRepository
from storage.catalog.gates import GateFinding, Severity
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.transactions import check_reason
from storage.errors import InvalidArgument
from storage.mongodb.connection import Client
from storage.mongodb.server_time import server_time
from storage.mongodb.transaction import commit


class NothingScheduled(InvalidArgument):
    """The batch has no schedule that an approval could keep."""

    def __init__(self, batch: str) -> None:
        super().__init__(
            f"Batch {batch} has no schedule to keep. Approve it without keepSchedule, or give it one with "
            "rescheduleBatch first.",
            path=("input", "keepSchedule"),
        )


class BatchScheduling:
    """Reschedules held batches, and approves scheduled ones."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        batches: BatchRepository,
        events: EventRepository,
        transitions: BatchTransitions,
        membership: ReleaseMembership,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._batches = batches
        self._events = events
        self._transitions = transitions
        self._membership = membership

    async def reschedule(self, batch_id: str, publish_at: datetime.datetime | None, *, by: str, reason: str) -> Batch:
        """Give a held batch another instant, or with None take its schedule away: it then waits for a review.

        Nothing changes if it has that instant already. Raises `InvalidArgument`, `InvalidPublishAt`, `BatchNotFound`,
        `BatchNotHeld`, `BatchInRelease` for a batch that has the instant of its release.
        """
        check_reason(reason)
        check_offset(publish_at)
        instant = publish_at and in_milliseconds(publish_at)
        batch = await self._batches.get(batch_id)
        if batch.release:
            raise BatchInRelease(batch.id, batch.release)
        if batch.state is BatchState.HELD and batch.publish_at == instant:
            return batch
        check_publish_at(instant, await server_time(self._client))

        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(batch.price_list, session)
            held = await self._batches.get_held(batch_id, session)
            check_not_superseded(held, price_list)
            finding = scheduled_finding(instant) if instant else ended_finding(f"{by} took its schedule away: {reason}")
            return await self._transitions.reschedule(
                held,
                price_list,
                instant,
                session,
                kind=EventKind.RESCHEDULED,
                by=by,
                reason=reason,
                findings=[*without_schedule(held.findings), finding],
                held_by_pin=False,
                approval=held.approval if instant else None,
            )

        return (await commit(self._client, act, self._is_stored)).batch

    async def approve(self, batch_id: str, *, by: str, reason: str, expected_version: int | None = None) -> Batch:
        """Approve a scheduled batch, or one in a release, that is published when it is due all the same.

        The gates that have findings now, and `publish: ON_APPROVAL`, do not hold it then; others, a pin and the
        expected version do. Raises `InvalidArgument` for a batch without a schedule, `BatchNotFound`, `BatchNotHeld`,
        `Conflict` if the caller expects another version to be current.
        """
        check_reason(reason)
        known = await self._batches.get(batch_id)
        if known.release:
            return await self._membership.approve(known, by=by, reason=reason, expected_version=expected_version)

        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(known.price_list, session)
            price_list.expect(expected_version)
            batch = await self._batches.get_held(batch_id, session)
            check_not_superseded(batch, price_list)
            if not batch.is_scheduled:
                raise NothingScheduled(batch_id)
            finding = GateFinding(APPROVED_GATE, Severity.INFO, f"{by} approved it, to be published when due: {reason}")
            return await self._transitions.reschedule(
                batch,
                price_list,
                batch.publish_at,
                session,
                kind=EventKind.APPROVED,
                by=by,
                reason=reason,
                approval=approval_of(batch, by, reason),
                findings=[*batch.findings, finding],
            )

        return (await commit(self._client, act, self._is_stored)).batch

    async def _is_stored(self, transition: Transition) -> bool:
        return await self._events.exists(transition.event)
