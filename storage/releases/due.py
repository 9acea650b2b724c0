"""Publishing the releases that are due, or making them OPEN again if something stands against them.

The batches of a scheduled release are scheduled, so the lists show when it is due (`storage.batches.due_publisher`).
The transaction decides, as for a batch: it finds the release due, and publishes all of it. So of several processes that
try it at once, one does it.
"""

import asyncio
import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.batch import Batch
from storage.batches.comparison import Comparison
from storage.batches.due_publisher import UNEXPECTED, UNREADABLE, DuePublisher
from storage.batches.metrics import StorageMetrics
from storage.batches.publish_time import instant_text
from storage.batches.repository import BatchRepository
from storage.catalog.events import EventKind, EventRepository
from storage.catalog.releases import Release, ReleaseNotFound, ReleaseRepository, ReleaseState
from storage.catalog.snapshots import SnapshotRepository
from storage.catalog.transactions import MAX_REASON_LENGTH
from storage.errors import Refused
from storage.mongodb.connection import Client, explain
from storage.mongodb.server_time import server_time
from storage.mongodb.transaction import commit
from storage.releases.errors import ReleaseRefused
from storage.releases.lists import ReleaseLists
from storage.releases.publication import Published, PublishRequest, ReleasePublication
from storage.releases.publishing import ReleasePublisher
from storage.releases.scheduling import ReleaseScheduling

NOT_SEALED = "not_sealed"
"""The reason for a release of which a batch was still in progress."""

REASONS = {"PINNED": "pin", "CONFLICT": "expected_version", "GATE_HELD": "gate", "BATCH_NOT_SEALED": NOT_SEALED}
"""Why a release was not published, by the code of the objection; any other is `unreadable`."""


class _NotDue(Exception):
    """The release is not due, or not any more."""


class DuePublication(ReleasePublication):
    """Publishes a release within a transaction if the release is due then."""

    def __init__(
        self,
        client: Client,
        releases: ReleaseRepository,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        events: EventRepository,
        lists: ReleaseLists,
    ) -> None:
        super().__init__(releases, snapshots, batches, events, lists)
        self._client = client

    async def publish(
        self,
        request: PublishRequest,
        seen: Mapping[str, int],
        comparisons: Mapping[str, Comparison],
        session: AsyncClientSession,
    ) -> Published:
        """See `ReleasePublication.publish`. Raises `_NotDue`, too."""
        release = await self._releases.get(request.release, session)
        if not _is_due(release, await server_time(self._client)):
            raise _NotDue
        return await super().publish(request, seen, comparisons, session)


class DueReleasePublisher:
    """Publishes the releases that are due, or makes them OPEN again. `publisher` publishes with `DuePublication`."""

    def __init__(
        self,
        client: Client,
        batches: BatchRepository,
        releases: ReleaseRepository,
        publisher: ReleasePublisher,
        scheduling: ReleaseScheduling,
        due_publisher: DuePublisher,
        metrics: StorageMetrics,
    ) -> None:
        self._client = client
        self._batches = batches
        self._releases = releases
        self._publisher = publisher
        self._scheduling = scheduling
        self._due_publisher = due_publisher
        self._metrics = metrics

    async def seconds_until_due(self, release_id: str) -> float | None:
        """Return in how many seconds a release is due, negative if it was; None if it is not scheduled.

        Raises `ReleaseNotFound`.
        """
        release, now = await asyncio.gather(self._releases.get(release_id), server_time(self._client))
        if release.state is not ReleaseState.SCHEDULED or release.publish_at is None:
            return None
        return (release.publish_at - now).total_seconds()

    async def count_rows(self, release_id: str) -> int:
        """Return the number of rows of all batches of a release. Raises `ReleaseNotFound`."""
        release = await self._releases.get(release_id)
        batches = await self._batches.get_many([item.batch for item in release.items])
        return sum(batch.rows or 0 for batch in batches if isinstance(batch, Batch))

    async def publish(self, release_id: str) -> bool:
        """Publish a release that is due, or make it OPEN again.

        Returns False if it is not due, or if a batch of one of its lists goes first. Raises `ReleaseNotFound`,
        `Corrupt`, `LayerGone`, `UnknownFormat`.
        """
        release = await self._releases.get(release_id)
        names = [item.price_list for item in release.items]
        if release.publish_at is None or await self._batches.is_due_before(names, release.publish_at, release.id):
            return False
        reason = f"It was scheduled for {instant_text(release.publish_at)}."
        try:
            published = await self._publisher.publish(release.id, by=_scheduler(release), reason=reason)
        except _NotDue:
            return False
        except ReleaseRefused as refused:
            return await self._hold(release, refused.objections)
        if published.published_at:
            self._metrics.lateness.add((published.published_at - release.publish_at).total_seconds())
        return True

    async def hold_unreadable(self, release_id: str, error: Exception) -> None:
        """Make a release OPEN because it cannot be published. If its own record is at fault, its batches are held."""
        known = explain(error)
        message = f"It cannot be published: {known.message if known else UNEXPECTED}"
        try:
            release = await self._releases.get(release_id)
        except (ReleaseNotFound, ValueError):  # a damaged record: `msgspec.ValidationError` is a `ValueError`
            for batch in await self._batches.scheduled_of_release(release_id):
                await self._due_publisher.hold_unreadable(batch, error)
            return
        reasons = {item.price_list: f"{_was_due(release)} {message}"[:MAX_REASON_LENGTH] for item in release.items}
        if await self._open(release, reasons) and release.items:
            self._metrics.schedules_held[release.items[0].price_list, UNREADABLE] += 1

    async def _hold(self, release: Release, objections: Sequence[Refused]) -> bool:
        """Make a release OPEN because of objections. Returns False if it was changed since."""
        messages: defaultdict[str, list[str]] = defaultdict(list)
        for each in objections:
            messages[each.path[-1]].append(each.message)
        codes = ", ".join(sorted({each.code for each in objections}))
        reasons = {item.price_list: _reason(release, item.price_list, messages, codes) for item in release.items}
        is_held = await self._open(release, reasons)
        if is_held:
            for name, why in {(each.path[-1], REASONS.get(each.code, UNREADABLE)) for each in objections}:
                self._metrics.schedules_held[name, why] += 1
        return is_held

    async def _open(self, release: Release, reasons: Mapping[str, str]) -> bool:
        """Take the instant of a release away. Returns False if the release was changed since it was read."""

        async def act(session: AsyncClientSession) -> Release | None:
            found = await self._releases.get(release.id, session)
            if (found.state, found.publish_at, found.items) != (release.state, release.publish_at, release.items):
                return None
            by = _scheduler(release)
            return await self._scheduling.change(found, None, session, kind=EventKind.HELD, by=by, reasons=reasons)

        async def is_stored(opened: Release | None) -> bool:
            return opened is None or await self._scheduling.is_stored(opened)

        if await commit(self._client, act, is_stored) is None:
            return False
        self._metrics.releases["held"] += 1
        return True


def _is_due(release: Release, now: datetime.datetime) -> bool:
    return release.state is ReleaseState.SCHEDULED and release.publish_at is not None and release.publish_at <= now


def _scheduler(release: Release) -> str:
    """Return who scheduled a release: its creator, unless somebody did it later."""
    return release.scheduled_by or release.created_by


def _was_due(release: Release) -> str:
    due = f"at {instant_text(release.publish_at)}" if release.publish_at else "now"
    return f"Release {release.name!r} ({release.id}) was due {due}, and is OPEN again."


def _reason(release: Release, name: str, messages: Mapping[str, Sequence[str]], codes: str) -> str:
    """Return why a release was not published, for the readers of one list: they may not know the others."""
    others = len(messages.keys() - {name})
    about_others = [f"Other lists stood against it: {others} ({codes})."] if others else []
    return " ".join([_was_due(release), *messages.get(name, ()), *about_others])[:MAX_REASON_LENGTH]
