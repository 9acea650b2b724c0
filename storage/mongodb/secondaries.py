"""Reads on secondaries: causally consistent and with a timeout; the caller falls back to the primary."""

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

READ_TIMEOUT_SECONDS = 0.3
"""A secondary that does not answer within this time hangs or lags. On one machine a read that waits for the replication
of a publish takes 4 ms."""

BACKOFF_SECONDS = 5.0
"""How long reads go to the primary after a secondary did not answer; then a single read tries again."""


class Clock:
    """The latest operation time that this process has seen."""

    def __init__(self) -> None:
        self.time: Timestamp | None = None

    def advance(self, time: Timestamp | None) -> None:
        """Advance to an operation time; ignore one in the past."""
        if time is not None and (self.time is None or time > self.time):
            self.time = time


class Secondaries:
    """Reads from the secondaries of a database while they answer.

    Each read has its own causally consistent session, because a session serves one operation at a time. The session is
    advanced to the clock: a secondary that lags behind it waits until it has caught up (MongoDB manual, "Causal
    Consistency and Read and Write Concerns").
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db.with_options(read_preference=SecondaryPreferred())
        self._clock = clock
        self._failing = False
        self._retry_at = 0.0

    async def read(self, read: Callable[[Database, AsyncClientSession], Awaitable[T]]) -> T | None:
        """Return the result of `read`, or None if the caller must read from the primary instead."""
        now = asyncio.get_running_loop().time()
        if self._clock.time is None or now < self._retry_at:
            return None
        if self._failing:
            self._retry_at = now + BACKOFF_SECONDS
        try:
            with pymongo.timeout(READ_TIMEOUT_SECONDS):
                async with self._db.client.start_session(causal_consistency=True) as session:
                    session.advance_operation_time(self._clock.time)
                    result = await read(self._db, session)
        except PyMongoError as error:
            if not self._failing:
                log.warning("A secondary does not answer (%s). Reading from the primary.", type(error).__name__)
            self._failing = True
            self._retry_at = asyncio.get_running_loop().time() + BACKOFF_SECONDS
            return None
        self._failing, self._retry_at = False, 0.0
        return result
