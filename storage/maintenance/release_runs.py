"""Publishing the releases that are due: one run for each in a process, and one process for each at a time."""

import asyncio
import logging
from contextlib import suppress

from storage.batches.scheduled import NextScheduled
from storage.maintenance.periodic import is_set_within, log_failure
from storage.maintenance.stand_by import MAX_ATTEMPTS, StandBy, is_passing
from storage.mongodb.deadlines import is_cancelled
from storage.mongodb.locks import Locks
from storage.releases.due import DueReleasePublisher

log = logging.getLogger("pricebook.schedule")

RELEASE_LOCKS = "release/"
"""Prefix of the locks of releases that are being published."""

LEAD_SECONDS = 2.0
"""How long before a release is due its run begins: its lists wait for that, and ask nothing when it is due."""

MAX_LEAD_SECONDS = 2 * LEAD_SECONDS
"""How long a run waits until its release is due. If that is later, it was rescheduled."""

MAX_CONCURRENT_RELEASES = 4
"""Number of releases that a process publishes at once. Each has up to 100 lists."""


class ReleaseRuns:
    """Publishes releases that are due. The lists of a release, which are due at once, share a run."""

    def __init__(self, due_releases: DueReleasePublisher, locks: Locks) -> None:
        self._due_releases = due_releases
        self._locks = locks
        self._working = asyncio.Semaphore(MAX_CONCURRENT_RELEASES)
        self._runs: dict[str, asyncio.Task[bool]] = {}
        self._attempts: dict[str, int] = {}
        """How often releases failed that are not held yet."""

    async def publish(self, release_id: str, stopping: asyncio.Event) -> bool:
        """Publish a release that is due, or almost, or make it OPEN; wait as long as another process does that.

        Returns False if this process did neither: then its lists must be looked at again in a moment. Raises the errors
        of the driver, and those of a release that cannot be published. If a caller is cancelled, so is the run: only
        the end of a process cancels one.
        """
        run = self._runs.get(release_id)
        if run is None:
            run = asyncio.create_task(self._run(release_id, stopping), name=f"publish release {release_id} when due")
            self._runs[release_id] = run
            run.add_done_callback(lambda _: self._runs.pop(release_id))
        return await run

    async def _run(self, release_id: str, stopping: asyncio.Event) -> bool:
        """Publish a release. One that fails again and again is made OPEN."""
        try:
            is_done = await self._publish_or_stand_by(release_id, stopping)
        except Exception as error:
            if is_passing(error):
                raise
            attempts = self._attempts[release_id] = self._attempts.get(release_id, 0) + 1
            if attempts < MAX_ATTEMPTS:
                raise
            log_failure(log, f"Release {release_id} is not published on schedule: it cannot be", error)
            await self._due_releases.hold_unreadable(release_id, error)
            is_done = True
        self._attempts.pop(release_id, None)
        return is_done

    async def _publish_or_stand_by(self, release_id: str, stopping: asyncio.Event) -> bool:
        lock, stand_by, rows = f"{RELEASE_LOCKS}{release_id}", StandBy(), None
        while not (stopping.is_set() or is_cancelled()):
            async with self._locks.held(lock) as token:
                if token is not None:
                    return await self._publish(release_id, stopping)
            due_in = await self._due_releases.seconds_until_due(release_id)
            if due_in is None:
                return False
            if rows is None:
                rows = await self._due_releases.count_rows(release_id)
            found = NextScheduled(release_id, due_in, rows)
            if stand_by.is_over(found):
                return await self._publish(release_id, stopping)
            await is_set_within(stand_by.seconds(found), stopping)
        return False

    async def _publish(self, release_id: str, stopping: asyncio.Event) -> bool:
        """Publish a release once it is due, unless that is not soon."""
        while not (stopping.is_set() or is_cancelled()):
            due_in = await self._due_releases.seconds_until_due(release_id)
            if due_in is None or due_in > MAX_LEAD_SECONDS:
                return False
            if due_in <= 0:
                async with self._working:
                    return await self._due_releases.publish(release_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(due_in):
                    await stopping.wait()
        return False
