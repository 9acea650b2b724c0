"""The leader: the one process that compacts, expires and collects. It holds a lease, and another one takes it over.

The leader keeps in memory what is to be done, so that it asks the database only about lists whose pointers moved or
that are due. A new leader checks all lists once. Two leaders do no harm: every step can be repeated, and is safe in
parallel; each of them would merely do the work of the other again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from pymongo.errors import PyMongoError

from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.watcher import Watcher
from storage.maintenance.compaction_schedule import CompactionSchedule
from storage.maintenance.garbage_collection import GarbageCollector
from storage.maintenance.periodic import is_set_within, log_failure, repeat
from storage.maintenance.retention_schedule import RetentionSchedule
from storage.mongodb.deadlines import is_cancelled
from storage.mongodb.locks import Locks

log = logging.getLogger("pricebook.maintenance")

LEADER_LOCK = "maintenance"
"""Name of the lock that the leader holds."""

LEADER_POLL_SECONDS = 2.0
"""Interval at which each process checks for a leader. A dead one is replaced within this and the lease."""

RETENTION_DELAY_SECONDS = 30.0
"""Time from the move of a pointer until its list is checked for versions to expire, once for all moves meanwhile."""

COLLECT_INTERVAL_SECONDS = 30.0
"""Interval of garbage collection."""

LISTS_PER_PAGE = 1000
"""Number of lists that a new leader reads at once."""


class Schedules:
    """What a leader has to do for each list."""

    def __init__(self, compaction: CompactionSchedule, retention: RetentionSchedule) -> None:
        self.compaction = compaction
        self.retention = retention
        self._revisions: dict[str, int] = {}

    def add(self, name: str, version: int) -> None:
        """Check a list, of which `version` was current a moment ago."""
        if name not in self._revisions:  # otherwise its pointer has moved since, and is followed
            self.compaction.add(name, version)
        self.retention.add(name, 0.0)

    def follow(self, pointer: PriceList) -> None:
        """Check a list whose pointer moved."""
        if self._revisions.get(pointer.name) != pointer.revision:
            self._revisions[pointer.name] = pointer.revision
            if pointer.current_version is not None:
                self.compaction.add(pointer.name, pointer.current_version)
            self.retention.add(pointer.name, RETENTION_DELAY_SECONDS)


class Leader:
    """Leads the maintenance of a database whenever no other process does."""

    def __init__(
        self,
        watcher: Watcher,
        locks: Locks,
        price_lists: PriceListRepository,
        garbage_collector: GarbageCollector,
        new_schedules: Callable[[], Schedules],
    ) -> None:
        self._locks = locks
        self._price_lists = price_lists
        self._garbage_collector = garbage_collector
        self._new_schedules = new_schedules
        self._schedules: Schedules | None = None
        watcher.subscribe(self._follow)

    def _follow(self, pointers: Sequence[PriceList]) -> None:
        if self._schedules:
            for pointer in pointers:
                self._schedules.follow(pointer)

    async def run(self, stopping: asyncio.Event) -> None:
        """Lead as long as this process holds the lease, and try to get it otherwise; until `stopping` is set."""
        while not (stopping.is_set() or is_cancelled()):
            try:
                if not await self._locks.is_held(LEADER_LOCK):
                    async with self._locks.held(LEADER_LOCK) as token:
                        if token is not None:
                            await self._lead(token, stopping)
            except Exception as error:
                log_failure(log, "Could not lead the maintenance, and will retry", error)
            await is_set_within(LEADER_POLL_SECONDS, stopping)

    async def _lead(self, token: int, stopping: asyncio.Event) -> None:
        log.info("This process leads the maintenance now.")
        schedules = self._schedules = self._new_schedules()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(schedules.compaction.run(), name="compact"),
                    group.create_task(schedules.retention.run(), name="expire"),
                    group.create_task(
                        repeat("collect", COLLECT_INTERVAL_SECONDS, self._garbage_collector.collect, stopping)
                    ),
                    group.create_task(self._check_all(schedules), name="check all lists"),
                ]
                await self._until_lost(token, stopping)
                for task in tasks:
                    task.cancel()
        finally:
            self._schedules = None
            log.info("This process does not lead the maintenance any more.")

    async def _until_lost(self, token: int, stopping: asyncio.Event) -> None:
        """Return when another process has taken the lock, or this one stops."""
        while not (await is_set_within(LEADER_POLL_SECONDS, stopping) or is_cancelled()):
            try:
                if not await self._locks.has_token(LEADER_LOCK, token):
                    return
            except PyMongoError as error:  # it is not known, and does no harm
                log_failure(log, "Cannot read the lock of the maintenance", error)

    async def _check_all(self, schedules: Schedules) -> None:
        """Check every list once, in pages. Pointers that move meanwhile are followed already."""
        after = ""
        while not is_cancelled():
            try:
                page = await self._price_lists.current_versions(LISTS_PER_PAGE, after)
            except PyMongoError as error:
                log_failure(log, "Could not read all lists, and will retry", error)
                await asyncio.sleep(LEADER_POLL_SECONDS)
                continue
            for after, version in page:
                schedules.add(after, version)
            if len(page) < LISTS_PER_PAGE:
                return
