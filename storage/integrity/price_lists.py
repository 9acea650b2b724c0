"""The check of a pointer: against the version that it names, and the events and versions of its list."""

import datetime

from storage.batches.repository import BatchRepository
from storage.catalog.events import EventRepository
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.snapshots import SnapshotRepository, SnapshotState
from storage.integrity.findings import Finding, FindingCode
from storage.integrity.unreadable import try_read
from storage.mongodb.connection import Database, Document

_MAX_ATTEMPTS = 10
"""Number of times that a pointer is checked while it keeps moving; a finding of every attempt is real."""

_MAX_GAPS = 10
"""Number of revisions without an event that a finding names."""

_MAX_VERSIONS = 10
"""Number of versions with a wrong `replacedAt` that are reported."""


class PointerCheck:
    """Checks pointers. It takes no lock: if the pointer moves during a check, the check is repeated."""

    def __init__(
        self,
        db: Database,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        events: EventRepository,
        batches: BatchRepository,
    ) -> None:
        self._manifests = db["snapshots"]
        self._batches = batches
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._events = events

    async def findings(self, name: str) -> list[Finding]:
        """Return the findings for the pointer of a list, or for the tombstone of a deleted one."""
        found: list[Finding] = []
        for _ in range(_MAX_ATTEMPTS):
            seen, problem = await try_read(self._price_lists.find_with_deleted(name), name, None, "the price list")
            if problem:
                return [problem]
            if seen is None:
                return [Finding(FindingCode.LIST_MISSING, "The list has versions, but no pointer.", name)]
            gaps, last = await self._find_gaps(name, seen.revision)
            highest = await self._snapshots.highest_version(name)
            # A transaction writes the pointer with the rest, so by now the pointer includes all that was read before.
            now, problem = await try_read(self._price_lists.find_with_deleted(name), name, None, "the price list")
            if problem:
                return [problem]
            found = [*_missing_events(seen, gaps), *_pointer_behind(now, highest, last)] if now else []
            found = found or await self._check_version(seen) or await self._check_event(seen)
            found = found or [*await self._check_next_change(seen), *await self._check_replacements(seen)]
            now, problem = await try_read(self._price_lists.find_with_deleted(name), name, None, "the price list")
            if problem:
                return [problem]
            if not found or now == seen:
                break
        return found

    async def _find_gaps(self, name: str, revision: int) -> tuple[list[int], int]:
        """Return the first revisions without an event, checked up to `revision`, and the last one with an event."""
        gaps: list[int] = []
        last = 0
        async for number in self._events.revisions(name):
            if len(gaps) < _MAX_GAPS:
                gaps += range(last + 1, min(number, last + 1 + _MAX_GAPS))
            last = number
        gaps += range(last + 1, min(revision, last + _MAX_GAPS) + 1)
        return gaps[:_MAX_GAPS], last

    async def _check_event(self, seen: PriceList) -> list[Finding]:
        name, version, pin = seen.name, seen.current_version, seen.pin
        events, _ = await try_read(self._events.between(name, seen.revision - 1, seen.revision), name, None, "events")
        if events and events[0].to_version != version:
            event = events[0]
            message = (
                f"The pointer names {_describe(version)}, but by event {event.revision} ({event.kind}, by {event.by}) "
                f"{_describe(event.to_version)} is current."
            )
            return [Finding(FindingCode.POINTER_UNEXPLAINED, message, name, version)]
        if pin and pin.version != version:
            message = f"Version {pin.version} is pinned, but {_describe(version)} is current."
            return [Finding(FindingCode.PIN_ELSEWHERE, message, name, version)]
        return []

    async def _check_version(self, seen: PriceList) -> list[Finding]:
        name, version = seen.name, seen.current_version
        if version is None:
            return []
        snapshot, problem = await try_read(self._snapshots.get(name, version), name, version, "the manifest")
        if problem:
            return []  # reported by the check of the version
        if snapshot is None:
            return [Finding(FindingCode.POINTER_TO_MISSING, "The current version has no manifest.", name, version)]
        if snapshot.state is SnapshotState.RETIRED:
            return [Finding(FindingCode.POINTER_TO_RETIRED, "The current version has expired.", name, version)]
        if snapshot.state is SnapshotState.SEALED or snapshot.published_at is None:
            message = "The current version was never published; its batch is waiting for approval."
            return [Finding(FindingCode.POINTER_TO_UNPUBLISHED, message, name, version)]
        return []

    async def _check_next_change(self, seen: PriceList) -> list[Finding]:
        """Check when the list changes next. The batches of a deleted list are there until they are purged."""
        due = None if seen.deletion else await self._batches.next_due(seen.name)
        if seen.next_change_at == due:
            return []
        message = f"The pointer says that {_change(seen.next_change_at)}, but by its scheduled batches {_change(due)}."
        return [Finding(FindingCode.NEXT_CHANGE_WRONG, message, seen.name)]

    async def _check_replacements(self, seen: PriceList) -> list[Finding]:
        """Check that all published versions have the time at which they were replaced, the current one none."""
        name, current = seen.name, seen.current_version
        other: Document = {"_id.version": {"$ne": current}, "replacedAt": {"$not": {"$type": "date"}}}
        wrong: Document = {"$or": [{"_id.version": current, "replacedAt": {"$exists": True}}, other]}
        query = {"_id.list": name, "state": SnapshotState.PUBLISHED, **wrong}
        cursor = self._manifests.find(query, {"_id": 1}).sort("_id.version", 1).limit(_MAX_VERSIONS)
        return [_wrongly_replaced(name, document["_id"]["version"], current) async for document in cursor]


def _missing_events(seen: PriceList, gaps: list[int]) -> list[Finding]:
    if not gaps:
        return []
    message = f"Events are missing for revisions {', '.join(map(str, gaps))}; the pointer is at {seen.revision}."
    return [Finding(FindingCode.EVENTS_MISSING, message, seen.name)]


def _pointer_behind(now: PriceList, highest: int, last: int) -> list[Finding]:
    if now.revision >= last and now.last_version >= highest:
        return []
    message = (
        f"The pointer is at revision {now.revision} and last version {now.last_version}, but events exist up to "
        f"revision {last} and versions up to {highest}."
    )
    return [Finding(FindingCode.POINTER_BEHIND, message, now.name)]


def _wrongly_replaced(name: str, version: int, current: int | None) -> Finding:
    message = (
        "It is current, but its manifest has a time at which it was replaced."
        if version == current
        else "It is not current, but its manifest has no time at which it was replaced."
    )
    return Finding(FindingCode.REPLACED_AT_WRONG, message, name, version)


def _change(at: datetime.datetime | None) -> str:
    return "no change is scheduled" if at is None else f"the next change is at {at.isoformat(timespec='milliseconds')}"


def _describe(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
