"""The periods in which a version was current."""

import datetime
from dataclasses import dataclass

from storage.catalog.events import Event
from storage.catalog.moves import MoveRepository

MAX_EXPOSURES = 1000
"""Number of periods of one version to return."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """A period in which a version was current, and the event that began it. `until` is None while it lasts."""

    from_: datetime.datetime
    until: datetime.datetime | None
    event: Event


async def find_exposures(moves: MoveRepository, price_list: str, version: int) -> list[Exposure]:
    """Return up to `MAX_EXPOSURES` periods in which a version was current, newest first; none if it never was."""
    found = await moves.to_version(price_list, version, MAX_EXPOSURES)
    return [Exposure(begin.at, end.at if end else None, begin) for begin, end in found]
