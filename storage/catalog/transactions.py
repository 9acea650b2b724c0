"""What every move of a pointer is made of: a transaction, an event, and a reason."""

import datetime

from storage.catalog.events import Event, EventKind
from storage.catalog.price_lists import PriceList
from storage.errors import InvalidArgument

MAX_REASON = 1000


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
