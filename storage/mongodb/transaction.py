"""Transactions, and the current time in the precision of the database."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from storage.mongodb.connection import DURABLE, Client
from storage.mongodb.deadlines import deadline

T = TypeVar("T")

ABORT_TIMEOUT_SECONDS = 1.0
"""How long to wait until an aborted transaction has released what it locked."""


async def in_transaction(client: Client, act: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
    """Run `act` in a transaction, with all attempts in the time that `timeoutMS` gives to one operation.

    The driver retries it after a write conflict or an election.
    """

    async def aborting(session: AsyncClientSession) -> T:
        try:
            return await act(session)
        except BaseException:
            await _abort(session)
            raise

    with deadline(client):
        async with client.start_session() as session:
            return await session.with_transaction(aborting, read_concern=ReadConcern("snapshot"), write_concern=DURABLE)


async def _abort(session: AsyncClientSession) -> None:
    """Abort a transaction even if its deadline is over.

    The driver would send nothing then, and the server keep what the transaction wrote locked for a minute.
    """
    with suppress(PyMongoError, TimeoutError):
        async with asyncio.timeout(ABORT_TIMEOUT_SECONDS):
            with pymongo.timeout(0):  # no limit
                await session.abort_transaction()


async def commit(
    client: Client,
    act: Callable[[AsyncClientSession], Awaitable[T]],
    is_committed: Callable[[T], Awaitable[bool]],
) -> T:
    """Run `act` in a transaction; if its commit is not acknowledged, look its outcome up.

    `is_committed` finds out whether the transaction with a result took effect.
    """
    results: list[T] = []

    async def noting(session: AsyncClientSession) -> None:
        results.clear()
        results.append(await act(session))

    try:
        await in_transaction(client, noting)
    except PyMongoError as error:
        if not results or not await found_out(error, is_committed(results[0])):
            raise
    return results[0]


async def found_out(error: PyMongoError, look_up: Awaitable[T]) -> T:
    """Return what a look-up finds after an error of a transaction. If it fails, too, the first error is raised."""
    try:
        return await look_up
    except PyMongoError:
        raise error from None


def instant() -> datetime.datetime:
    """Return the current time, truncated to milliseconds as in BSON."""
    now = datetime.datetime.now(datetime.UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
