"""Giving a release an instant at which all of its batches are published, and taking it away."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.batches.batch import Batch
from storage.batches.publish_time import (
    check_offset,
    check_publish_at,
    ended_finding,
    in_milliseconds,
    without_schedule,
)
from storage.batches.repository import BatchRepository
from storage.catalog.events import EventKind, EventRepository
from storage.catalog.list_filter import ALL_LISTS, ListFilter
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.releases import (
    UNPUBLISHED,
    Release,
    ReleaseItem,
    ReleaseNotOpen,
    ReleaseRepository,
    ReleaseState,
)
from storage.catalog.transactions import check_reason, event_of
from storage.mongodb.connection import Client
from storage.mongodb.server_time import server_time
from storage.mongodb.transaction import commit
from storage.releases.lists import ReleaseLists, check_operates


class ReleaseScheduling:
    """Schedules releases. The batches of one, and the next changes of their lists, follow in the same transaction."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        batches: BatchRepository,
        events: EventRepository,
        releases: ReleaseRepository,
        lists: ReleaseLists,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._batches = batches
        self._events = events
        self._releases = releases
        self._lists = lists

    async def schedule(
        self,
        release_id: str,
        publish_at: datetime.datetime | None,
        *,
        by: str,
        reason: str,
        operates: ListFilter = ALL_LISTS,
    ) -> Release:
        """Publish a release at an instant; with None take its instant away, so that it is OPEN.

        Nothing changes if it has that instant already. The caller may operate the lists of `operates`. Raises
        `InvalidArgument` for an invalid reason, `InvalidPublishAt`, `ReleaseNotFound`, `ReleaseForbidden`,
        `ReleaseNotOpen`.
        """
        check_reason(reason)
        check_offset(publish_at)
        instant = publish_at and in_milliseconds(publish_at)
        now = await server_time(self._client)

        async def act(session: AsyncClientSession) -> Release:
            release = await self._releases.get(release_id, session)
            check_operates(release, operates)
            if release.state not in UNPUBLISHED:
                raise ReleaseNotOpen(release.id, release.state)
            if release.publish_at == instant:
                return release
            check_publish_at(instant, now)
            reasons = {item.price_list: reason for item in release.items}
            return await self.change(release, instant, session, kind=EventKind.RESCHEDULED, by=by, reasons=reasons)

        return await commit(self._client, act, self.is_stored)

    async def change(
        self,
        release: Release,
        publish_at: datetime.datetime | None,
        session: AsyncClientSession,
        *,
        kind: EventKind,
        by: str,
        reasons: Mapping[str, str],
    ) -> Release:
        """Write the instant of a release, and what follows it, with an event of each list and its reason."""
        lists = await self._lists.read(release, session)
        items = [item for item in release.items if item.price_list in lists]
        if items:
            batches = await self._batches.read_held([item.batch for item in items], session)
            moved = await self._move(items, lists, publish_at, session)
            events = [
                event_of(
                    lists[item.price_list],
                    after,
                    kind,
                    by,
                    reason=reasons[item.price_list],
                    batch=item.batch,
                    version=batches[item.batch].version if item.batch in batches else None,
                    release=release.id,
                )
                for item, after in zip(items, moved, strict=True)
            ]
            await self._events.append_all(events, session)
            changes = [(item.batch, _findings(batches, item, kind, reasons)) for item in items]
            await self._batches.reschedule_all(changes, publish_at, session)
        return await self._releases.update(
            release,
            session,
            publish_at=publish_at,
            scheduled_by=by if publish_at else None,
            state=ReleaseState.SCHEDULED if publish_at else ReleaseState.OPEN,
        )

    async def _move(
        self,
        items: Sequence[ReleaseItem],
        lists: Mapping[str, PriceList],
        publish_at: datetime.datetime | None,
        session: AsyncClientSession,
    ) -> list[PriceList]:
        """Write when each list changes next, and return the lists in the order of the items."""
        others = await self._batches.next_changes(list(lists.values()), [item.batch for item in items], session)
        changes = [
            (lists[name], {"next_change_at": min(filter(None, (others.get(name), publish_at)), default=None)})
            for name in (item.price_list for item in items)
        ]
        return await self._price_lists.move_all(changes, session)

    async def is_stored(self, changed: Release) -> bool:
        """Whether the transaction with this result was committed."""
        found = await self._releases.find(changed.id)
        return found is not None and (found.state, found.publish_at) == (changed.state, changed.publish_at)


def _findings(
    batches: Mapping[str, Batch], item: ReleaseItem, kind: EventKind, reasons: Mapping[str, str]
) -> dict[str, Any]:
    """Return the findings of a batch: with the reason if it was not published when due. A damaged record keeps its."""
    batch = batches.get(item.batch)
    if batch is None:
        return {}
    ended = [ended_finding(reasons[item.price_list])] if kind is EventKind.HELD else []
    return {"findings": [*without_schedule(batch.findings), *ended]}
