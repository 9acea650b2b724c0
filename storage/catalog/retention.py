"""Retention: the rules by which the versions of a list are kept or expire."""

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from storage.catalog.snapshots import Snapshot, SnapshotState
from storage.errors import InvalidArgument

MAX_RETENTION_VERSIONS = 100_000
"""Largest number of newest versions that a list can keep."""

MAX_RETENTION_DAYS = 36_500
"""Largest number of days that a list can keep its versions."""


@dataclass(frozen=True, slots=True)
class Retention:
    """A version is kept while it is one of the newest `versions`, or younger than `days`."""

    versions: int = 30
    days: int = 7


DEFAULT_RETENTION = Retention()


def check_retention(retention: Retention) -> None:
    """Raise `InvalidArgument` for an invalid retention."""
    for name, lowest, highest in (("versions", 1, MAX_RETENTION_VERSIONS), ("days", 0, MAX_RETENTION_DAYS)):
        if not lowest <= getattr(retention, name) <= highest:
            path = ("input", "retention", name)
            raise InvalidArgument(f"Retention {name} must be {lowest} to {highest}.", path=path)


@dataclass(frozen=True, slots=True)
class ExpiringVersion:
    """A version to expire, and why."""

    snapshot: Snapshot
    reason: str


def find_expiring(
    retention: Retention,
    manifests: Sequence[Snapshot],
    held: Collection[int],
    now: datetime.datetime,
    grace: datetime.timedelta,
) -> list[ExpiringVersion]:
    """Return the versions of a list to expire, oldest first.

    A version is kept if it is in `held` (current or pinned), has a label, is recent by `retention`, was read within
    the `grace` time, or was never published: its batch is still waiting for a review.
    """
    published = sorted(
        (each for each in manifests if each.state is SnapshotState.PUBLISHED), key=lambda each: -each.version
    )
    newest = {each.version for each in published[: retention.versions]}
    cutoff = now - datetime.timedelta(days=retention.days)
    expired = [
        each
        for each in published
        if each.version not in newest
        and each.version not in held
        and each.label is None
        and (each.published_at or each.created_at) <= cutoff
        and (each.read_at is None or each.read_at < now - grace)
    ]
    reason = f"not one of the newest {retention.versions}, and older than {retention.days} days"
    return [ExpiringVersion(each, f"Version {each.version} is {reason}.") for each in reversed(expired)]
