"""Finding the versions of a list that nothing keeps, and when the next one is no longer kept.

It goes through the published versions below the newest ones in the order in which they were last replaced, by an index,
and stops at the first that is too young to expire. That is not the order of their numbers: a rollback makes an earlier
version current again. A version without that time is current, which is why it is kept.
"""

import datetime
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field

from storage.catalog.expiration import ExpirationRepository, MarkedVersion, ReplacedVersion
from storage.catalog.price_lists import PriceList
from storage.catalog.retention import Term

VERSIONS_PER_READ = 100
"""Number of versions that are read at once."""


@dataclass(frozen=True, slots=True)
class ExpiringVersion:
    """A version to expire, why, and what that was decided by."""

    seen: ReplacedVersion
    reason: str

    @property
    def version(self) -> int:
        """The number of the version."""
        return self.seen.version

    @property
    def doomed_at(self) -> datetime.datetime | None:
        """When it was marked as expiring."""
        return self.seen.doomed_at


@dataclass(slots=True)
class Expiring:
    """The versions of a list to expire, those replaced first ahead; and when the next one is due.

    `is_complete` is False if the limit was reached: versions after the last of `versions` were not checked.
    """

    versions: list[ExpiringVersion] = field(default_factory=list)
    due: datetime.datetime | None = None
    is_complete: bool = True

    def keeps(self, marked: MarkedVersion) -> bool:
        """Whether a version that is marked as expiring was checked, and is kept."""
        if any(each.version == marked.version for each in self.versions):
            return False
        if self.is_complete or marked.replaced_at is None:
            return True
        last = self.versions[-1].seen
        return (marked.replaced_at, marked.version) < (last.replaced_at, last.version)


async def find_expiring(
    expirations: ExpirationRepository,
    price_list: PriceList,
    now: datetime.datetime,
    grace: datetime.timedelta,
    limit: int,
) -> Expiring:
    """Return up to `limit` versions of a list to expire.

    A version is kept if it is current or pinned, one of the newest or young enough by the retention of the list, was
    read within the `grace` time, is kept until an instant, or was never published: its batch is still waiting for a
    review.
    """
    newest = await expirations.oldest_of_newest(price_list.name, price_list.retention.versions)
    found = Expiring()
    if newest is None:
        return found
    held, retention = versions_of_pointer(price_list), price_list.retention
    async with aclosing(_replaced(expirations, price_list.name, newest)) as versions:
        async for each in versions:
            term = retention.term(each.published_at, each.replaced_at)
            until = max([term.until, *_kept_until(each, grace)])
            if until > now:
                found.due = earliest([found.due, until])
            elif each.version not in held:
                found.versions.append(ExpiringVersion(each, _reason(price_list, each.version, term)))
            if len(found.versions) == limit:
                found.is_complete = False
                return found
            next_term = each.replaced_at + retention.shortest_term
            if next_term > now:  # nor is that of one that was replaced later over
                found.due = earliest([found.due, next_term])
                return found
    return found


async def _replaced(expirations: ExpirationRepository, name: str, below: int) -> AsyncGenerator[ReplacedVersion]:
    """Yield the versions `below` a version in the order in which they were replaced, read in pages."""
    since: datetime.datetime | None = None
    at_since: list[int] = []
    while True:
        page = await expirations.replaced(name, below, VERSIONS_PER_READ, since, at_since)
        for each in page:
            if each.replaced_at != since:
                since, at_since = each.replaced_at, []
            at_since.append(each.version)
            yield each
        if len(page) < VERSIONS_PER_READ:
            return


def _kept_until(each: ReplacedVersion, grace: datetime.timedelta) -> Iterable[datetime.datetime]:
    """Yield until when a version is kept, whatever the retention of its list."""
    if each.keep:
        yield each.keep.until
    if each.read_at:
        yield each.read_at + grace


def _reason(price_list: PriceList, version: int, term: Term) -> str:
    return f"Version {version} is not one of the newest {price_list.retention.versions}, and {term.reason}."


def versions_of_pointer(price_list: PriceList) -> set[int]:
    """Return the current and the pinned version."""
    pinned = price_list.pin.version if price_list.pin else None
    return {version for version in (price_list.current_version, pinned) if version is not None}


def earliest(times: Iterable[datetime.datetime | None]) -> datetime.datetime | None:
    """Return the earliest of some times, or None without any."""
    return min((time for time in times if time is not None), default=None)
