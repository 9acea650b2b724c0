"""Checking a list's pointer: against the version that it names, and against the list's events and versions."""

from storage.catalog.events import EventRepository
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.snapshots import SnapshotRepository, SnapshotState
from storage.integrity.findings import Finding, FindingCode
from storage.integrity.unreadable import understood

# What is wrong each time, though the pointer is moved again and again, is wrong.
_TRIES = 10

# So many revisions without an event are named.
_MOST_NAMED = 10


class PointerCheck:
    """Checks pointers. It takes no lock: what it finds is looked at again when the pointer was moved meanwhile."""

    def __init__(
        self, price_lists: PriceListRepository, snapshots: SnapshotRepository, events: EventRepository
    ) -> None:
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._events = events

    async def findings(self, name: str) -> list[Finding]:
        """Return what is wrong with the pointer of a list."""
        found: list[Finding] = []
        for _ in range(_TRIES):
            seen, problem = await understood(self._price_lists.find(name), name, None, "the price list")
            if problem:
                return [problem]
            if seen is None:
                return [Finding(FindingCode.LIST_MISSING, "The list has versions, but no pointer.", name)]
            gaps, last = await self._gaps(name, seen.revision)
            highest = max(await self._snapshots.version_numbers(name), default=0)
            # An act writes the pointer with all else: as far as that was seen to be, the pointer must have come by now.
            now = await self._price_lists.find(name)
            found = [*_missing(seen, gaps), *_behind(now, highest, last)] if now else []
            found = found or await self._of_version(seen) or await self._of_event(seen)
            if not found or now == seen:
                break
        return found

    async def _gaps(self, name: str, revision: int) -> tuple[list[int], int]:
        """Return the first revisions that have no event, up to one at the least, and the last that has one."""
        gaps: list[int] = []
        last = 0
        async for number in self._events.revisions(name):
            if len(gaps) < _MOST_NAMED:
                gaps += range(last + 1, min(number, last + 1 + _MOST_NAMED))
            last = number
        gaps += range(last + 1, min(revision, last + _MOST_NAMED) + 1)
        return gaps[:_MOST_NAMED], last

    async def _of_event(self, seen: PriceList) -> list[Finding]:
        name, version, pin = seen.name, seen.current_version, seen.pin
        events, _ = await understood(self._events.between(name, seen.revision - 1, seen.revision), name, None, "events")
        if events and events[0].to_version != version:
            event = events[0]
            message = (
                f"The pointer names {_said(version)}, but by event {event.revision} ({event.kind}, by {event.by}) "
                f"{_said(event.to_version)} is current."
            )
            return [Finding(FindingCode.POINTER_UNEXPLAINED, message, name, version)]
        if pin and pin.version != version:
            message = f"Version {pin.version} is pinned, but {_said(version)} is current."
            return [Finding(FindingCode.PIN_ELSEWHERE, message, name, version)]
        return []

    async def _of_version(self, seen: PriceList) -> list[Finding]:
        name, version = seen.name, seen.current_version
        if version is None:
            return []
        snapshot, problem = await understood(self._snapshots.get(name, version), name, version, "the manifest")
        if problem:
            return []  # it is told with the versions
        if snapshot is None:
            return [Finding(FindingCode.POINTER_TO_MISSING, "The current version has no manifest.", name, version)]
        if snapshot.state is SnapshotState.RETIRED:
            return [Finding(FindingCode.POINTER_TO_RETIRED, "The current version is retired.", name, version)]
        if snapshot.state is SnapshotState.SEALED or snapshot.published_at is None:
            message = "The current version was never published; its batch waits for approval."
            return [Finding(FindingCode.POINTER_TO_UNPUBLISHED, message, name, version)]
        return []


def _missing(seen: PriceList, gaps: list[int]) -> list[Finding]:
    if not gaps:
        return []
    message = f"There is no event of revision {', '.join(map(str, gaps))}; the pointer is at {seen.revision}."
    return [Finding(FindingCode.EVENTS_MISSING, message, seen.name)]


def _behind(now: PriceList, highest: int, last: int) -> list[Finding]:
    if now.revision >= last and now.last_version >= highest:
        return []
    message = (
        f"The pointer is at revision {now.revision} and has given versions up to {now.last_version}, but there are "
        f"events up to revision {last} and versions up to {highest}."
    )
    return [Finding(FindingCode.POINTER_BEHIND, message, now.name)]


def _said(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
