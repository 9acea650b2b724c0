"""The errors of invalid items, in reports: one for a part, and one for a batch that failed. A report never changes.

When a batch ends, only its own report is kept. Every report expires `ITEM_ERROR_DAYS` after it was written, and so do
those that a killed process leaves behind.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeVar

import msgspec
from bson.min_key import MinKey
from bson.objectid import ObjectId

from storage.fair_yield import yield_to_loop
from storage.mongodb.connection import FORMAT, Database, Document, check_format
from storage.mongodb.documents import to_builtins
from storage.mongodb.transaction import instant
from storage.prices.item_error import ItemError

MAX_ITEM_ERRORS = 10_000
"""Errors of a batch, and of all its parts together, that are stored: the first ones. All are counted."""

ERRORS_PER_DOCUMENT = 100
"""Errors in one document of a report: some 20 kB. A page of one error reads as many."""

DOCUMENTS_PER_INSERT = 5
"""Documents of a report that one round trip writes."""

MAX_RANGES_PER_READ = 100
"""Ranges that one query reads."""

ERRORS_AT_ONCE = 500
"""Errors to work out before other tasks may run: some three milliseconds."""

T = TypeVar("T")

_index = attrgetter("index")


class ErrorReport(msgspec.Struct, frozen=True):
    """A stored report: its id, and the number of its errors."""

    id: str
    count: int


class ReportRange(NamedTuple):
    """The errors `start` to `end`, exclusively, of a report of a batch."""

    batch: str
    report: str
    start: int
    end: int


class ItemErrorRepository:
    """The reports of a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["item_errors"]

    async def write(self, batch: str, errors: Sequence[ItemError]) -> ErrorReport:
        """Write the first `MAX_ITEM_ERRORS` of the errors as a new report of a batch."""
        report = ErrorReport(str(ObjectId()), min(len(errors), MAX_ITEM_ERRORS))
        now = instant()
        kept = errors[: report.count]
        firsts = range(0, report.count, ERRORS_PER_DOCUMENT)
        for start in range(0, len(firsts), DOCUMENTS_PER_INSERT):
            await self._collection.insert_many(
                {
                    "_id": _id(batch, report.id, first),
                    "format": FORMAT,
                    "at": now,
                    "errors": to_builtins(kept[first : first + ERRORS_PER_DOCUMENT]),
                }
                for first in firsts[start : start + DOCUMENTS_PER_INSERT]
            )
            await yield_to_loop()
        return report

    async def read(self, ranges: Sequence[ReportRange]) -> list[list[ItemError]]:
        """Return the errors of each range, without those that have expired; one round trip for 100 ranges."""
        found: list[list[ItemError]] = []
        for start in range(0, len(ranges), MAX_RANGES_PER_READ):
            found += await self._read(ranges[start : start + MAX_RANGES_PER_READ])
        return found

    async def _read(self, ranges: Sequence[ReportRange]) -> list[list[ItemError]]:
        documents: dict[tuple[str, int], list[Document]] = {}
        async for document in self._collection.find({"$or": [_query(each) for each in ranges]}):
            check_format("report of item errors", document)
            documents[document["_id"]["report"], document["_id"]["first"]] = document["errors"]
        found = []
        for each in ranges:
            errors: list[ItemError] = []
            for first in range(_first_of(each.start), each.end, ERRORS_PER_DOCUMENT):
                stored = documents.get((each.report, first), ())[max(0, each.start - first) : each.end - first]
                errors += msgspec.convert(stored, list[ItemError])
                await yield_to_loop()
            found.append(errors)
        return found

    async def drop(self, batch: str, report: ErrorReport) -> None:
        """Drop a report of a batch."""
        whole = {"$gte": _id(batch, report.id, 0), "$lt": _id(batch, report.id, report.count)}
        await self._collection.delete_many({"_id": whole})

    async def keep_only(self, batch: str, report: ErrorReport | None) -> None:
        """Drop the reports of a batch except one."""
        others = {"$gte": _id(batch, MinKey(), MinKey()), "$lt": _id(f"{batch}\0", MinKey(), MinKey())}
        await self._collection.delete_many({"_id": others, "_id.report": {"$ne": report and report.id}})


def keep_first(kept: list[ItemError], errors: Iterable[ItemError]) -> None:
    """Add errors to a list in the order of the items, and keep the first `MAX_ITEM_ERRORS`."""
    added = sorted(errors, key=_index)
    if kept and added and added[0].index < kept[-1].index:
        kept += added
        kept.sort(key=_index)
    elif len(kept) < MAX_ITEM_ERRORS:
        kept += added
    del kept[MAX_ITEM_ERRORS:]


def may_keep(kept: Sequence[ItemError], index: int) -> bool:
    """Whether `keep_first` may keep an error of the item with this index."""
    return len(kept) < MAX_ITEM_ERRORS or index < kept[-1].index


async def in_steps(items: Sequence[T]) -> AsyncGenerator[Sequence[T], None]:
    """Yield errors, or what errors are made of, `ERRORS_AT_ONCE` at a time, and let other tasks run in between."""
    for start in range(0, len(items), ERRORS_AT_ONCE):
        yield items[start : start + ERRORS_AT_ONCE]
        await yield_to_loop()


def _id(batch: str, report: object, first: object) -> Document:
    return {"batch": batch, "report": report, "first": first}


def _first_of(position: int) -> int:
    """Return the position of the first error in the document that has the error at a position."""
    return position - position % ERRORS_PER_DOCUMENT


def _query(each: ReportRange) -> Document:
    first = _id(each.batch, each.report, _first_of(each.start))
    return {"_id": {"$gte": first, "$lt": _id(each.batch, each.report, each.end)}}
