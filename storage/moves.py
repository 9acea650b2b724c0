"""What every move of a pointer is made of: a transaction, an event, and a reason."""

import datetime
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern

from storage.errors import InvalidArgument
from storage.events import Event, EventKind
from storage.mongo import DURABLE, Client
from storage.pointers import PriceList

T = TypeVar("T")

MAX_REASON = 1000


async def in_transaction(client: Client, act: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
    """Run `act` in a transaction; the driver begins again after a write conflict or an election."""
    async with client.start_session() as session:
        return await session.with_transaction(act, read_concern=ReadConcern("snapshot"), write_concern=DURABLE)


def event_of(
    seen: PriceList,
    moved: PriceList,
    kind: EventKind,
    by: str,
    at: datetime.datetime,
    *,
    reason: str | None = None,
    batch: str | None = None,
) -> Event:
    """Return the event that tells of a move."""
    return Event(seen.name, moved.revision, kind, at, by, reason, seen.current_version, moved.current_version, batch)


def check_reason(reason: str) -> None:
    """Raise `InvalidArgument` for a reason that says nothing, or too much."""
    if not 1 <= len(reason.strip()) <= MAX_REASON:
        raise InvalidArgument(f"Give a reason of 1 to {MAX_REASON} characters.", path=("input", "reason"))


def instant() -> datetime.datetime:
    """Return the time, in milliseconds, as BSON keeps them."""
    now = datetime.datetime.now(datetime.UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
