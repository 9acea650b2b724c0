"""The moves of a pointer: the events by which another version became current, or none, when the list was deleted.

A deletion ends a life of a name. Moves up to the last deletion belong to another list of this name, so no query here
returns one.
"""

import datetime
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from storage.catalog.events import Event, event_from_document
from storage.mongodb.connection import Database, Document

MAX_INSTANTS_PER_READ = 100
"""Instants whose moves one query finds: a pipeline may have 1,000 stages."""


@dataclass(frozen=True, slots=True)
class Moves:
    """The moves of a period, oldest first. `in_force` is the last one up to its start; None if there was none."""

    in_force: Event | None
    later: Sequence[Event]


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
        first, *others = [[*query, {"$set": {"query": number}}] for number, query in enumerate(queries)]
        union = [{"$unionWith": {"coll": self._collection.name, "pipeline": other}} for other in others]
        cursor = await self._collection.aggregate([*first, *union])
        documents = {document.pop("query"): document async for document in cursor}
        events = [event_from_document(documents[n]) if n in documents else None for n in range(len(queries))]
        deleted = dict(zip(names, events[: len(names)], strict=True))
        return [_in_this_life(move, deleted[name]) for move, (name, _) in zip(events[len(names) :], keys, strict=True)]

    async def within(
        self, price_list: str, since: datetime.datetime, until: datetime.datetime | None, limit: int
    ) -> Moves:
        """Return up to `limit` moves after `since` and before `until`, and the one that was in force at `since`."""
        deletion = await self._find_one(_last_deletion(price_list))
        in_force = await self._find_one(_last_move(price_list, since))
        life = {"revision": {"$gt": deletion.revision}} if deletion else {}
        before = {"$lt": until} if until else {}
        later = await self._find(
            [
                {"$match": {"list": price_list, "moved": True, "at": {"$gt": since, **before}, **life}},
                {"$sort": {"at": 1, "revision": 1}},
                {"$limit": limit},
            ]
        )
        return Moves(_in_this_life(in_force, deletion), later)

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

    async def _find_one(self, pipeline: Sequence[Document]) -> Event | None:
        return next(iter(await self._find(pipeline)), None)

    async def _find(self, pipeline: Sequence[Document]) -> list[Event]:
        return [event_from_document(document) async for document in await self._collection.aggregate(pipeline)]


def _newest(query: Document, limit: int) -> list[Document]:
    return [{"$match": query}, {"$sort": {"revision": -1}}, {"$limit": limit}]


def _last_deletion(price_list: str) -> list[Document]:
    query = {"list": price_list, "moved": True, "toVersion": None}
    return _newest(query, 1)


def _last_move(price_list: str, to: datetime.datetime) -> list[Document]:
    query = {"list": price_list, "moved": True, "at": {"$lte": to}}
    return [{"$match": query}, {"$sort": {"at": -1, "revision": -1}}, {"$limit": 1}]


def _in_this_life(move: Event | None, deletion: Event | None) -> Event | None:
    return move if move and (deletion is None or move.revision > deletion.revision) else None
