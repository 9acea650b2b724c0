"""Transactions, and the current time in the precision of the database."""

import datetime
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from storage.mongodb.connection import DURABLE, Client
from storage.mongodb.deadlines import deadline

T = TypeVar("T")


async def in_transaction(client: Client, act: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
    """Run `act` in a transaction, with all attempts in the time that `timeoutMS` gives to one operation.

    The driver retries it after a write conflict or an election.
    """
    with deadline(client):
        async with client.start_session() as session:
            return await session.with_transaction(act, read_concern=ReadConcern("snapshot"), write_concern=DURABLE)


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
    except PyMongoError:
        if not results or not await is_committed(results[0]):
            raise
    return results[0]


def instant() -> datetime.datetime:
    """Return the current time, truncated to milliseconds as in BSON."""
    now = datetime.datetime.now(datetime.UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
