"""Retention: which versions of a list are kept, and why one goes."""

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from storage.catalog.snapshots import Snapshot, SnapshotState
from storage.errors import InvalidArgument

MAX_VERSIONS = 100_000
MAX_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Retention:
    """A version is kept while it is among the newest `versions`, or younger than `days`."""

    versions: int = 30
    days: int = 7


DEFAULT_RETENTION = Retention()


def check_retention(retention: Retention) -> None:
    """Raise `InvalidArgument` for a retention that makes no sense."""
    for name, lowest, highest in (("versions", 1, MAX_VERSIONS), ("days", 0, MAX_DAYS)):
        if not lowest <= getattr(retention, name) <= highest:
            path = ("input", "retention", name)
            raise InvalidArgument(f"Retention keeps {lowest} to {highest} {name}.", path=path)


@dataclass(frozen=True, slots=True)
class ExpiringVersion:
    """A version that nothing keeps, and why."""

    snapshot: Snapshot
    reason: str


def find_expiring(
    retention: Retention,
    manifests: Sequence[Snapshot],
    held: Collection[int],
    now: datetime.datetime,
    grace: datetime.timedelta,
) -> list[ExpiringVersion]:
    """Return the versions of a list that nothing keeps, oldest first.

    `held` are those that are current or pinned. What has a label, what is young by `retention`, and what was read
    within the `grace` time is kept; and what was never published, for its batch still waits for its review.
    """
    published = sorted(
        (each for each in manifests if each.state is SnapshotState.PUBLISHED), key=lambda each: -each.version
    )
    newest = {each.version for each in published[: retention.versions]}
    young = now - datetime.timedelta(days=retention.days)
    gone = [
        each
        for each in published
        if each.version not in newest
        and each.version not in held
        and each.label is None
        and (each.published_at or each.created_at) <= young
        and (each.read_at is None or each.read_at < now - grace)
    ]
    reason = f"not among the newest {retention.versions}, and older than {retention.days} days"
    return [ExpiringVersion(each, f"Version {each.version} is {reason}.") for each in reversed(gone)]
