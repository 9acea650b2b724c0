"""Retention keeps versions that are new, recent, labelled, current, pinned, held for a review, or being read."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from storage import InvalidArgument, Layer, Retention, Snapshot, SnapshotState
from storage.catalog.retention import check_retention, find_expiring

NOW = datetime.datetime(2026, 3, 31, tzinfo=datetime.UTC)
GRACE = datetime.timedelta(minutes=10)
DAY = datetime.timedelta(days=1)


def version(number: int, days: float = 100, **more: object) -> Snapshot:
    """A version that was published that many days ago."""
    at = NOW - days * DAY
    plain = Snapshot("retail", number, (Layer("x", 1, ""),), 1, SnapshotState.PUBLISHED, at, at, None, "batch", None)
    return replace(plain, **more)


def expired(retention: Retention, manifests: list[Snapshot], held: set[int]) -> list[int]:
    return [each.snapshot.version for each in find_expiring(retention, manifests, held, NOW, GRACE)]


NONE = Retention(versions=1, days=0)


def test_the_newest_versions_are_kept() -> None:
    manifests = [version(number) for number in range(1, 6)]
    assert expired(Retention(versions=2, days=0), manifests, set()) == [1, 2, 3]


def test_versions_that_were_never_published_do_not_count_among_the_newest() -> None:
    manifests = [version(1), version(2), version(3, state=SnapshotState.SEALED, published_at=None)]
    assert expired(NONE, manifests, set()) == [1]


@pytest.mark.parametrize(
    ("kept", "held"),
    [
        (version(1, days=6.9), set()),
        (version(1, label="spring"), set()),
        (version(1, read_at=NOW - datetime.timedelta(minutes=9)), set()),
        (version(1, state=SnapshotState.SEALED, published_at=None), set()),
        (version(1, state=SnapshotState.RETIRED), set()),
        (version(1), {1}),
    ],
    ids=["young", "labelled", "read", "held for a review", "retired already", "current or pinned"],
)
def test_some_versions_are_kept_regardless_of_their_number(kept: Snapshot, held: set[int]) -> None:
    others = [version(2), version(3)]
    assert expired(Retention(versions=1, days=7), [kept, *others], held) == [2]


@pytest.mark.parametrize(
    "old", [version(1, days=7), version(1, read_at=NOW - datetime.timedelta(minutes=11))], ids=["a week", "read before"]
)
def test_a_version_expires_when_its_time_is_over(old: Snapshot) -> None:
    assert expired(Retention(versions=1, days=7), [old, version(2)], set()) == [1]


def test_the_reason_names_the_rules() -> None:
    [expiring] = find_expiring(Retention(1, 3), [version(1), version(2)], set(), NOW, GRACE)
    assert expiring.reason == "Version 1 is not one of the newest 1, and older than 3 days."


MANIFESTS = st.lists(
    st.builds(
        version,
        st.just(0),
        st.integers(0, 20),
        label=st.sampled_from([None, None, "x"]),
        state=st.sampled_from([SnapshotState.PUBLISHED, SnapshotState.PUBLISHED, *SnapshotState]),
        read_at=st.none() | st.integers(0, 30).map(lambda minutes: NOW - datetime.timedelta(minutes=minutes)),
    ),
    max_size=8,
).map(lambda manifests: [replace(each, version=number) for number, each in enumerate(manifests, 1)])


@given(MANIFESTS, st.integers(1, 6), st.integers(0, 15), st.sets(st.integers(1, 8), max_size=2))
def test_a_version_expires_if_no_rule_keeps_it(
    manifests: list[Snapshot], versions: int, days: int, held: set[int]
) -> None:
    published = [each for each in manifests if each.state is SnapshotState.PUBLISHED]
    expected = []
    for each in published:
        newer = sum(other.version > each.version for other in published)
        young = each.published_at is not None and (NOW - each.published_at).days < days
        read = each.read_at is not None and NOW - each.read_at <= GRACE
        if not (newer < versions or young or read or each.label or each.version in held):
            expected.append(each.version)
    assert expired(Retention(versions, days), manifests, held) == expected


@pytest.mark.parametrize(
    "retention", [Retention(0, 1), Retention(-1, 1), Retention(1, -1), Retention(100_001, 1), Retention(1, 36_501)]
)
def test_an_invalid_retention_is_refused(retention: Retention) -> None:
    with pytest.raises(InvalidArgument, match="must be"):
        check_retention(retention)
