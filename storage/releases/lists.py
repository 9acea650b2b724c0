"""The lists of a release: read, and moved, all at once in the transaction of the release.

A transaction sends the same number of commands for one list as for a hundred.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.events import EventKind, EventRepository
from storage.catalog.list_filter import ListFilter
from storage.catalog.price_lists import PriceList, PriceListRepository, ReleaseMark
from storage.catalog.releases import Release
from storage.catalog.transactions import event_of
from storage.releases.errors import ReleaseForbidden


class ListChange(NamedTuple):
    """The change of one list: the pointer that was read, its fields to change, and the batch and version of the event.

    The event has the revision after that of `seen`.
    """

    seen: PriceList
    changes: Mapping[str, Any]
    batch: str | None = None
    version: int | None = None


class ReleaseLists:
    """Reads and moves all lists of a release, each with an event that has the release's id."""

    def __init__(self, price_lists: PriceListRepository, events: EventRepository) -> None:
        self._price_lists = price_lists
        self._events = events

    async def read(self, release: Release, session: AsyncClientSession | None = None) -> dict[str, PriceList]:
        """Return the lists of the items of a release, by name, without deleted ones."""
        return await self._price_lists.get_all([item.price_list for item in release.items], session)

    async def revisions(self, release: Release) -> dict[str, int]:
        """Return the revisions of the lists of the items of a release, by name, without deleted ones."""
        return await self._price_lists.revisions([item.price_list for item in release.items])

    async def move(
        self,
        release: Release,
        changes: Sequence[ListChange],
        session: AsyncClientSession,
        *,
        kind: EventKind,
        by: str,
        reason: str | None,
        marked: bool = True,
    ) -> list[PriceList]:
        """Write the changes of lists, and their events. Returns the lists after it, in the order of the changes.

        Pointers to other versions are `marked`, so that a process turns to all of them together.
        """
        if not changes:
            return []
        mark = {"release": ReleaseMark(release.id, len(changes))} if marked else {}
        moved = await self._price_lists.move_all([(each.seen, {**each.changes, **mark}) for each in changes], session)
        events = [
            event_of(seen, after, kind, by, reason=reason, batch=batch, version=version, release=release.id)
            for (seen, _, batch, version), after in zip(changes, moved, strict=True)
        ]
        await self._events.append_all(events, session)
        return moved


def check_operates(release: Release, operates: ListFilter) -> None:
    """Raise `ReleaseForbidden` unless the caller, who may operate the lists of `operates`, may operate all of it."""
    if not all(item.price_list in operates for item in release.items):
        raise ReleaseForbidden(release.id)
