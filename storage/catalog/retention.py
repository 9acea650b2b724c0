"""Retention: the rules by which the versions of a list are kept or expire."""

import datetime
from dataclasses import dataclass
from typing import NamedTuple

from storage.errors import InvalidArgument

MAX_RETENTION_VERSIONS = 100_000
"""Largest number of newest versions that a list can keep."""

MAX_RETENTION_DAYS = 36_500
"""Largest number of days that a list can keep its versions."""


ALL_KEPT_FOR = datetime.timedelta(days=1)
"""How long thinning keeps every version that was replaced."""

HOURLY_KEPT_FOR = datetime.timedelta(days=7)
"""How long thinning keeps the version that was current at the end of each hour, by UTC; later of each day."""


@dataclass(frozen=True, slots=True)
class Retention:
    """A version is kept while it is one of the newest `versions`, and for `days` after it was last current.

    `thin` keeps fewer of the versions that only `days` keeps: every one for a day, the last of each hour for a week,
    the last of each day afterwards. The last of an hour is the version that was current at its end. It never takes one
    of the newest `versions`, which are there to roll back to.
    """

    versions: int = 30
    days: int = 30
    thin: bool = False

    def term(self, published_at: datetime.datetime, replaced_at: datetime.datetime) -> "Term":
        """Return until when a version is kept by its age.

        It first became current at `published_at`, and was last replaced at `replaced_at`; thinning takes it as current
        all the time between.
        """
        terms = [Term(replaced_at + datetime.timedelta(days=self.days), f"was last current {self.days} days ago")]
        if self.thin and replaced_at.date() == published_at.date():
            terms.append(Term(replaced_at + HOURLY_KEPT_FOR, "is not the last of its day"))
            if replaced_at.hour == published_at.hour:
                terms.append(Term(replaced_at + ALL_KEPT_FOR, "is not the last of its hour"))
        return min(terms, key=lambda term: term.until)

    @property
    def shortest_term(self) -> datetime.timedelta:
        """How long age keeps every version after it was replaced."""
        days = datetime.timedelta(days=self.days)
        return min(days, ALL_KEPT_FOR) if self.thin else days


class Term(NamedTuple):
    """Until when a version is kept, and why not afterwards."""

    until: datetime.datetime
    reason: str


DEFAULT_RETENTION = Retention()


def check_retention(retention: Retention) -> None:
    """Raise `InvalidArgument` for an invalid retention."""
    for name, lowest, highest in (("versions", 1, MAX_RETENTION_VERSIONS), ("days", 0, MAX_RETENTION_DAYS)):
        if not lowest <= getattr(retention, name) <= highest:
            path = ("input", "retention", name)
            raise InvalidArgument(f"Retention {name} must be {lowest} to {highest}.", path=path)
