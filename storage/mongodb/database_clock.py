"""An estimate of the time of the database, without asking it: it decides when a scheduled batch is due."""

import datetime
import time
from collections.abc import Callable

from storage.mongodb.connection import Client
from storage.mongodb.server_time import server_time

_PRECISION_SECONDS = 0.001
"""The database reports its time in whole milliseconds, truncated."""


class DatabaseClock:
    """The time of the database by the monotonic clock of this process, from the last sample.

    The estimate is ahead of the database by at most the duration of the sample, and never behind, as long as the
    clocks run at the same rate. What must end before an instant so ends early rather than late.
    """

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._offset: float | None = None

    @property
    def is_sampled(self) -> bool:
        """Whether the time of the database is known."""
        return self._offset is not None

    async def sample(self) -> None:
        """Ask the primary for its time. Sample again from time to time: clocks are adjusted, and primaries change."""
        asked_at = self._clock()
        now = await server_time(self._client)
        self._offset = now.timestamp() + _PRECISION_SECONDS - asked_at

    def now(self) -> datetime.datetime:
        """Return the time of the database. It must have been sampled."""
        if self._offset is None:
            raise AssertionError("The clock of the database was not sampled.")
        return datetime.datetime.fromtimestamp(self._clock() + self._offset, datetime.UTC)

    def seconds_until(self, instant: datetime.datetime) -> float:
        """Return the seconds until an instant by the clock of the database; 0 before the first sample."""
        return 0.0 if self._offset is None else instant.timestamp() - self._offset - self._clock()
