"""The moves of a pointer: the events by which another version became current, or none, when the list was deleted.

A deletion ends a life of a name. Moves up to the last deletion belong to another list of this name, so no query here
returns one.
"""

import datetime
from bisect import bisect, bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from storage.catalog.events import Event, event_from_document
from storage.fair_yield import yield_to_loop
from storage.mongodb.connection import Database, Document

MAX_INSTANTS_PER_READ = 100
"""Instants whose moves one query finds: a pipeline may have 1,000 stages."""

EVENTS_PER_READ = 1000
"""Events that are decoded at once, without other tasks in between: some milliseconds."""

_at = attrgetter("at")


@dataclass(frozen=True, slots=True)
class Moves:
    """The moves of a list from `since` to before `until`, or up to the last one if it is None; oldest first.

    `in_force` is the last move up to `since`; None if there was none.
    """

    price_list: str
    since: datetime.datetime
    until: datetime.datetime | None
    in_force: Event | None
    later: Sequence[Event]

    def between(self, since: datetime.datetime, until: datetime.datetime | None) -> "Moves":
        """Return the moves of a window within this one."""
        first = bisect_right(self.later, since, key=_at)
        end = None if until is None else bisect_left(self.later, until, lo=first, key=_at)
        in_force = self.later[first - 1] if first else self.in_force
        return Moves(self.price_list, since, until, in_force, self.later[first:end])


class MoveRepository:
    """The moves of the pointers of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["events"]

    async def as_of(self, keys: Sequence[tuple[str, datetime.datetime]]) -> list[Event | None]:
        """Return the moves that were in force at instants, by (list, instant) in their order; None before the first."""
        found: list[Event | None] = []
        for start in range(0, len(keys), MAX_INSTANTS_PER_READ):
            found += await self._as_of(keys[start : start + MAX_INSTANTS_PER_READ])
        return found

    async def _as_of(self, keys: Sequence[tuple[str, datetime.datetime]]) -> list[Event | None]:
        names = list(dict.fromkeys(name for name, _ in keys))
        queries = [*(_last_deletion(name) for name in names), *(_last_move(*key) for key in keys)]
        events = [next(iter(found), None) for found in await self._find_all(queries)]
        deleted = dict(zip(names, events[: len(names)], strict=True))
        return [_in_this_life(move, deleted[name]) for move, (name, _) in zip(events[len(names) :], keys, strict=True)]

    async def within(
        self,
        price_list: str,
        since: datetime.datetime,
        until: datetime.datetime | None,
        limit: int,
        *,
        to_revision: int | None = None,
        to: datetime.datetime | None = None,
    ) -> Moves:
        """Return the newest moves after `since` and before `until`, and the one that was in force at `since`.

        Only those up to a revision and an instant, if these are given.
        """
        before = {"$lt": until} if until else {}
        up_to = {"$lte": to} if to else {}
        revisions = {} if to_revision is None else {"revision": {"$lte": to_revision}}
        during: list[Document] = [
            {"$match": {"list": price_list, "moved": True, "at": {"$gt": since, **before, **up_to}, **revisions}},
            {"$sort": {"at": -1, "revision": -1}},  # so that the limit leaves out earlier lives
            {"$limit": limit},
        ]
        found = await self._find_all([_last_deletion(price_list), _last_move(price_list, since, **revisions), during])
        [deletion, in_force] = (next(iter(events), None) for events in found[:2])
        later = [move for move in reversed(found[2]) if _in_this_life(move, deletion)]
        return Moves(price_list, since, until, _in_this_life(in_force, deletion), later)

    async def to_version(self, price_list: str, version: int, limit: int) -> list[tuple[Event, Event | None]]:
        """Return up to `limit` moves to a version, newest first, each with the move that ended it; None if none did."""
        deletion = await self._find_one(_last_deletion(price_list))
        above = {"revision": {"$gt": deletion.revision if deletion else 0}}
        query = {"list": price_list, "moved": True, **above}
        begun = await self._find(_newest({**query, "toVersion": version}, limit))
        ended = (await self._find(_newest({**query, "fromVersion": version}, 2 * limit)))[::-1]
        revisions = [event.revision for event in ended]
        ends = (bisect(revisions, event.revision) for event in begun)
        return [(event, ended[end] if end < len(ended) else None) for event, end in zip(begun, ends, strict=True)]

    async def _find_all(self, queries: Sequence[Sequence[Document]]) -> list[list[Event]]:
        """Return what each query finds, in one round trip."""
        first, *others = [[*query, {"$set": {"query": number}}] for number, query in enumerate(queries)]
        union = [{"$unionWith": {"coll": self._collection.name, "pipeline": other}} for other in others]
        found: list[list[Event]] = [[] for _ in queries]
        async for document in await self._collection.aggregate([*first, *union], batchSize=EVENTS_PER_READ):
            found[document["query"]].append(event_from_document(document))
            await yield_to_loop()
        return found

    async def _find_one(self, pipeline: Sequence[Document]) -> Event | None:
        return next(iter(await self._find(pipeline)), None)

    async def _find(self, pipeline: Sequence[Document]) -> list[Event]:
        return [event_from_document(document) async for document in await self._collection.aggregate(pipeline)]


def _newest(query: Document, limit: int) -> list[Document]:
    return [{"$match": query}, {"$sort": {"revision": -1}}, {"$limit": limit}]


def _last_deletion(price_list: str) -> list[Document]:
    query = {"list": price_list, "moved": True, "toVersion": None}
    return _newest(query, 1)


def _last_move(price_list: str, to: datetime.datetime, **more: Document) -> list[Document]:
    query = {"list": price_list, "moved": True, "at": {"$lte": to}, **more}
    return [{"$match": query}, {"$sort": {"at": -1, "revision": -1}}, {"$limit": 1}]


def _in_this_life(move: Event | None, deletion: Event | None) -> Event | None:
    return move if move and (deletion is None or move.revision > deletion.revision) else None
