"""Reading on secondaries: causally after what this process knows, for a bounded time, or else not at all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pymongo
from bson.timestamp import Timestamp
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_preferences import SecondaryPreferred

from storage.mongodb.connection import Database

log = logging.getLogger("pricebook.secondaries")

T = TypeVar("T")

# A secondary that has not answered after so many seconds hangs or lags. On one machine a read that waits for a
# publish to arrive takes 4 ms.
WAIT_SECONDS = 0.3

# After one did not answer, reads go to the primary for so many seconds; then a single one tries again.
AVOID_SECONDS = 5.0


class Clock:
    """The operation time up to which everything is committed that this process knows of."""

    def __init__(self) -> None:
        self.time: Timestamp | None = None

    def advance(self, time: Timestamp | None) -> None:
        """Take note of an operation time; an earlier one changes nothing."""
        if time is not None and (self.time is None or time > self.time):
            self.time = time


class Secondaries:
    """The secondaries of a database, as long as they answer.

    A read goes in a causally consistent session of its own, for a session serves one operation at a time, advanced to
    the clock: a secondary that has not come so far yet waits until it has (MongoDB manual, "Causal Consistency and
    Read and Write Concerns").
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db.with_options(read_preference=SecondaryPreferred())
        self._clock = clock
        self._failing = False
        self._avoided_until = 0.0

    async def read(self, read: Callable[[Database, AsyncClientSession], Awaitable[T]]) -> T | None:
        """Return what `read` returns; None where the primary has to be asked instead."""
        now = asyncio.get_running_loop().time()
        if self._clock.time is None or now < self._avoided_until:
            return None
        if self._failing:
            self._avoided_until = now + AVOID_SECONDS
        try:
            with pymongo.timeout(WAIT_SECONDS):
                async with self._db.client.start_session(causal_consistency=True) as session:
                    session.advance_operation_time(self._clock.time)
                    found = await read(self._db, session)
        except PyMongoError as error:
            if not self._failing:
                log.warning("A secondary does not answer (%s); the primary is asked.", type(error).__name__)
            self._failing = True
            self._avoided_until = asyncio.get_running_loop().time() + AVOID_SECONDS
            return None
        self._failing, self._avoided_until = False, 0.0
        return found
