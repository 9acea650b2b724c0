"""The event and the reason of a pointer transaction."""

import datetime

from storage.catalog.events import Event, EventKind
from storage.catalog.price_lists import PriceList
from storage.errors import InvalidArgument

MAX_REASON_LENGTH = 1000
"""Number of characters that a reason may have."""


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
    """Return the event that records the change of a pointer from `seen` to `moved`."""
    return Event(seen.name, moved.revision, kind, at, by, reason, seen.current_version, moved.current_version, batch)


def check_reason(reason: str) -> None:
    """Raise `InvalidArgument` for a blank reason, or one that is too long."""
    if len(reason) > MAX_REASON_LENGTH or not reason.strip():
        raise InvalidArgument(f"Give a reason of 1 to {MAX_REASON_LENGTH} characters.", path=("input", "reason"))
