"""A pointer transaction: the change of a list with its event, and the reason."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from pymongo.asynchronous.client_session import AsyncClientSession

from storage.catalog.events import Event, EventKind, EventRepository
from storage.catalog.price_lists import PriceList
from storage.errors import InvalidArgument
from storage.mongodb.connection import Client
from storage.mongodb.transaction import commit

MAX_REASON_LENGTH = 1000
"""Number of characters that a reason may have."""


class PointerChange(NamedTuple):
    """A list as a transaction left it, and the event that it appended."""

    price_list: PriceList
    event: Event


async def commit_pointer_change(
    client: Client, events: EventRepository, act: Callable[[AsyncClientSession], Awaitable[PointerChange]]
) -> PriceList:
    """Run the transaction of a change.

    If its commit is not acknowledged, the event is looked up: it exists if, and only if, the change took effect.
    """
    change = await commit(client, act, lambda change: events.exists(change.event))
    return change.price_list


def event_of(
    seen: PriceList,
    moved: PriceList,
    kind: EventKind,
    by: str,
    *,
    reason: str | None = None,
    batch: str | None = None,
    version: int | None = None,
    release: str | None = None,
) -> Event:
    """Return the event that records the change of a pointer from `seen` to `moved`, at the time of `moved`."""
    return Event(
        seen.name,
        moved.revision,
        kind,
        moved.moved_at,
        by,
        reason,
        seen.current_version,
        moved.current_version,
        batch,
        version,
        release,
    )


def check_reason(reason: str) -> None:
    """Raise `InvalidArgument` for a blank reason, or one that is too long."""
    if len(reason) > MAX_REASON_LENGTH or not reason.strip():
        raise InvalidArgument(f"Give a reason of 1 to {MAX_REASON_LENGTH} characters.", path=("input", "reason"))
