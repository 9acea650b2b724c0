"""Finding the versions of a list that nothing keeps, and when the next one is no longer kept.

It goes through the published versions from the oldest on, by an index without the labelled ones, which are kept, and
stops at the first that is too young to expire, or is one of the newest.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from storage.catalog.expiration import ExpirationRepository, PublishedVersion
from storage.catalog.price_lists import PriceList
from storage.catalog.retention import Term

VERSIONS_PER_READ = 100
"""Number of versions that are read at once."""


@dataclass(frozen=True, slots=True)
class ExpiringVersion:
    """A version to expire, why, and the times of its last read and of its mark by which that was decided."""

    version: int
    reason: str
    read_at: datetime.datetime | None
    doomed_at: datetime.datetime | None


@dataclass(slots=True)
class Expiring:
    """The versions of a list to expire, oldest first; and when the next one is due.

    `end` is the version below which all were checked, because the limit was reached; None if all were.
    """

    versions: list[ExpiringVersion] = field(default_factory=list)
    due: datetime.datetime | None = None
    end: int | None = None


async def find_expiring(
    expirations: ExpirationRepository,
    price_list: PriceList,
    now: datetime.datetime,
    grace: datetime.timedelta,
    limit: int,
) -> Expiring:
    """Return up to `limit` versions of a list to expire.

    A version is kept if it is current, pinned or labelled, one of the newest or young enough by the retention of the
    list, was read within the `grace` time, or was never published: its batch is still waiting for a review.
    """
    newest = await expirations.oldest_of_newest(price_list.name, price_list.retention.versions)
    found = Expiring()
    if newest is None:
        return found
    scan = _Scan(price_list, newest, now)
    while not scan.is_finished:
        outdated = scan.outdated(await expirations.unlabelled(price_list.name, scan.above, VERSIONS_PER_READ + 1))
        marks = await expirations.marks(price_list.name, list(outdated)) if outdated else {}
        for version, (read_at, doomed_at) in sorted(marks.items()):
            if read_at and read_at + grace >= now:
                found.due = earliest([found.due, read_at + grace])
                continue
            found.versions.append(ExpiringVersion(version, outdated[version], read_at, doomed_at))
            if len(found.versions) == limit:
                found.end = version + 1
                return found
    found.due = earliest([found.due, scan.due])
    return found


class _Scan:
    """The versions below `newest` whose term is over, in pages. `due` is when that of the next one is over."""

    def __init__(self, price_list: PriceList, newest: int, now: datetime.datetime) -> None:
        self._retention = price_list.retention
        self._held = versions_of_pointer(price_list)
        self._newest = newest
        self._now = now
        self.above = 0
        self.due: datetime.datetime | None = None
        self.is_finished = False

    def outdated(self, page: Sequence[PublishedVersion]) -> dict[int, str]:
        """Return the versions of a page whose term is over, with the reasons; of the last one only with the next."""
        self.is_finished = True
        outdated: dict[int, str] = {}
        for each, following in zip(page[:VERSIONS_PER_READ], [*page[1:], None], strict=False):
            if each.version >= self._newest:
                return outdated
            self.above = each.version
            term = self._retention.term(each.published_at, following and following.published_at)
            if term.until > self._now:
                self.due = earliest([self.due, term.until])
            elif each.version not in self._held:
                outdated[each.version] = self._reason(each, term)
            next_term = each.published_at + self._retention.shortest_term
            if next_term > self._now:  # nor is that of a later version over
                self.due = earliest([self.due, next_term])
                return outdated
        self.is_finished = len(page) <= VERSIONS_PER_READ
        return outdated

    def _reason(self, each: PublishedVersion, term: Term) -> str:
        return f"Version {each.version} is not one of the newest {self._retention.versions}, and {term.reason}."


def versions_of_pointer(price_list: PriceList) -> set[int]:
    """Return the current and the pinned version."""
    pinned = price_list.pin.version if price_list.pin else None
    return {version for version in (price_list.current_version, pinned) if version is not None}


def earliest(times: Iterable[datetime.datetime | None]) -> datetime.datetime | None:
    """Return the earliest of some times, or None without any."""
    return min((time for time in times if time is not None), default=None)
