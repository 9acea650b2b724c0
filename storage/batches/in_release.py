"""Batches in a release: each joins it when it is sealed, and is held until the release is published.

Their list may have one batch in the release: a later one supersedes it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.approval import APPROVED_GATE, approval_of
from storage.batches.batch import Batch, Refusal
from storage.batches.repository import BatchRepository
from storage.batches.transitions import BatchTransitions, Transition
from storage.batches.turns import Turns
from storage.catalog.events import EventKind, EventRepository
from storage.catalog.gates import GateFinding, Severity
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.releases import Release, ReleaseItem, ReleaseRepository, check_room
from storage.errors import Refused
from storage.mongodb.connection import Client
from storage.mongodb.transaction import commit

RELEASE_GATE = "release"
"""The gate name of the finding that holds a batch until its release is published."""


class BatchInRelease(Refused):
    """The batch is published with its release, so it has no schedule of its own."""

    code = "BATCH_IN_RELEASE"

    def __init__(self, batch: str, release: str) -> None:
        super().__init__(
            f"Batch {batch} is published with release {release}. Schedule the release with scheduleRelease, or reject "
            "the batch and send it without `release`.",
            path=("input", "batch"),
        )


def release_finding(release: Release) -> GateFinding:
    """Return the finding that holds a batch until its release is published."""
    return GateFinding(RELEASE_GATE, Severity.HOLD, f"The batch waits in release {release.name!r} ({release.id}).")


class Joined(NamedTuple):
    """The list of a batch that joined a release, and the earlier batch that it superseded, before and after."""

    price_list: PriceList
    superseded: tuple[Batch, Batch] | None = None


class ReleaseMembership:
    """Lets batches join and leave releases, in the transactions of their lists, and approves those in a release."""

    def __init__(
        self,
        client: Client,
        releases: ReleaseRepository,
        price_lists: PriceListRepository,
        batches: BatchRepository,
        events: EventRepository,
        transitions: BatchTransitions,
        turns: Turns,
    ) -> None:
        self._client = client
        self._releases = releases
        self._price_lists = price_lists
        self._batches = batches
        self._events = events
        self._transitions = transitions
        self._turns = turns

    @asynccontextmanager
    async def queue(self, batch: Batch) -> AsyncIterator[None]:
        """Wait until the batches of this process that join the same release before this one have done so.

        Transactions that join a release at once conflict, and only one of them commits.
        """
        if batch.release is None:
            yield
            return
        async with self._turns.queue(f"release/{batch.release}"):
            yield

    async def find(self, batch: Batch, session: AsyncClientSession) -> Release | Refusal | None:
        """Return the release that a sealed batch can join, or why it cannot; None for a batch without a release."""
        if batch.release is None:
            return None
        try:
            release = await self._releases.get(batch.release, session)
            check_room(release, batch.price_list)
        except Refused as refused:
            return Refusal(refused.code, refused.message)
        return release

    async def join(self, release: Release, batch: Batch, price_list: PriceList, session: AsyncClientSession) -> Joined:
        """Add a batch to a release. An earlier batch of its list is rejected."""
        item, earlier = ReleaseItem(price_list.name, batch.id), release.item(price_list.name)
        others = [each for each in release.items if each is not earlier]
        items = sorted([*others, item], key=lambda each: each.price_list)
        await self._releases.update(release, session, items=items)  # first: those that join at once conflict here
        held = await self._batches.get_all_held([earlier.batch], session) if earlier else {}
        for superseded in held.values():  # none if the list was deleted meanwhile, and created again
            refusal = Refusal("SUPERSEDED", f"Batch {batch.id} was sent with the same release later.")
            ended = await self._transitions.reject_held(superseded, price_list, refusal, session, by=batch.submitted_by)
            return Joined(ended.price_list, (superseded, ended.batch))
        return Joined(price_list)

    async def leave(self, batch: Batch, session: AsyncClientSession) -> None:
        """Take a batch that is rejected out of its release, if it is in one."""
        release = await self._releases.find(batch.release, session) if batch.release else None
        if release:
            items = [item for item in release.items if item.batch != batch.id]
            await self._releases.update(release, session, items=items)

    async def approve(self, batch: Batch, *, by: str, reason: str, expected_version: int | None) -> Batch:
        """Approve a held batch, which is published with its release.

        The gates that have findings now, and `publish: ON_APPROVAL`, do not hold it then. Raises `PriceListNotFound`,
        `BatchNotHeld`, `Conflict` if the caller expects another version to be current.
        """

        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(batch.price_list, session)
            price_list.expect(expected_version)
            held = await self._batches.get_held(batch.id, session)
            message = f"{by} approved it, to be published with its release: {reason}"
            return await self._transitions.reschedule(
                held,
                price_list,
                held.publish_at,
                session,
                kind=EventKind.APPROVED,
                by=by,
                reason=reason,
                approval=approval_of(held, by, reason),
                findings=[*held.findings, GateFinding(APPROVED_GATE, Severity.INFO, message)],
            )

        return (await commit(self._client, act, lambda done: self._events.exists(done.event))).batch
