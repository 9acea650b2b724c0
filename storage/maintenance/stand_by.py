"""The wait for another process that publishes what is due, and which errors are worth another attempt."""

import asyncio
import random

from storage.batches.scheduled import NextScheduled
from storage.errors import LeaseLost, PriceListNotFound, Unavailable, UnknownFormat
from storage.mongodb.connection import explain

STAND_BY_SECONDS = 1.0
"""How long a batch is due before another process publishes it, although one holds the lock of its list."""

STAND_BY_ROWS_PER_SECOND = 50_000
"""Rows for each further second of this: comparing a large batch takes long, and every process would compare it."""

STAND_BY_POLL_SECONDS = 0.4
"""First interval at which a process that stands by looks whether a batch is published. It doubles twice."""

MAX_ATTEMPTS = 3
"""How often a process tries to publish a batch or a release that fails, before it holds it for review."""


class StandBy:
    """The wait for the process that holds the lock of a list or a release, and how long it has published nothing."""

    def __init__(self) -> None:
        self._first: str | None = None
        self._since = 0.0
        self._polls = 0

    def is_over(self, found: NextScheduled) -> bool:
        """Whether that process has let the first batch of the list, or the release, lie for too long."""
        if found.batch != self._first or found.due_in > 0:
            self._first, self._since = found.batch, _now() + max(found.due_in, 0.0)
        return _now() - self._since > STAND_BY_SECONDS + found.rows / STAND_BY_ROWS_PER_SECOND

    def seconds(self, found: NextScheduled) -> float:
        """Return how long to wait before it is looked at again: the longer, the more often it was."""
        if found.due_in <= 0:
            self._polls += 1
        poll = STAND_BY_POLL_SECONDS * (1 << min(self._polls, 2))
        return max(found.due_in, 0.0) + poll * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, no secret


def is_passing(error: Exception) -> bool:
    """Whether an error concerns the database, the list or this version of Pricebook, and not what is published."""
    return isinstance(explain(error) or error, Unavailable | PriceListNotFound | UnknownFormat | LeaseLost)


def _now() -> float:
    return asyncio.get_running_loop().time()
