"""Terms: until when the age of a version keeps it, with and without thinning."""

import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import InvalidArgument, Retention
from storage.catalog.retention import check_retention

NOW = datetime.datetime(2026, 3, 31, 12, 30, tzinfo=datetime.UTC)
MINUTE, HOUR, DAY = datetime.timedelta(minutes=1), datetime.timedelta(hours=1), datetime.timedelta(days=1)


@pytest.mark.parametrize("thin", [False, True])
def test_a_version_is_kept_for_its_days_after_it_was_last_current(thin: bool) -> None:
    term = Retention(1, 30, thin).term(NOW - 300 * DAY, NOW)
    assert term == (NOW + 30 * DAY, "was last current 30 days ago")


@pytest.mark.parametrize(
    ("current_for", "days", "reason"),
    [
        (MINUTE, 1, "is not the last of its hour"),
        (40 * MINUTE, 7, "is not the last of its day"),
        (HOUR, 7, "is not the last of its day"),
        (DAY, 30, "was last current 30 days ago"),
        (30 * DAY, 30, "was last current 30 days ago"),
    ],
)
def test_thinning_keeps_the_last_version_of_an_hour_longer_and_that_of_a_day_longest(
    current_for: datetime.timedelta, days: int, reason: str
) -> None:
    replaced = NOW + current_for
    assert Retention(1, 30, thin=True).term(NOW, replaced) == (replaced + days * DAY, reason)


@pytest.mark.parametrize("days", [0, 1])
def test_thinning_keeps_no_version_longer_than_its_days(days: int) -> None:
    replaced = NOW + HOUR
    term = Retention(1, days, thin=True).term(NOW, replaced)
    assert term == (replaced + days * DAY, f"was last current {days} days ago")


def is_kept(published: datetime.datetime, replaced: datetime.datetime, days: int, now: datetime.datetime) -> bool:
    """Whether thinning keeps a version: as its documentation says, by what was current at the end of each hour."""
    age = now - replaced
    if age < DAY or age >= days * DAY:
        return age < days * DAY
    step = HOUR if age < 7 * DAY else DAY
    midnight = published.replace(hour=0, minute=0)
    ends = [midnight + number * step for number in range(30 * 24) if midnight + number * step > published]
    return any(published < end <= replaced for end in ends)


@given(
    st.lists(st.integers(0, 20 * 24 * 60), unique=True, max_size=60).map(sorted),
    st.integers(0, 25),
    st.integers(0, 10 * 24 * 60),
)
def test_thinning_keeps_what_was_current_at_the_end_of_an_hour_or_a_day(
    minutes: list[int], days: int, later: int
) -> None:
    times, now = [NOW + (minute - 20 * 24 * 60) * MINUTE for minute in minutes], NOW + later * MINUTE
    retention = Retention(1, days, thin=True)
    for published, replaced in pairwise(times):
        kept = retention.term(published, replaced).until > now
        assert kept == is_kept(published, replaced, days, now)


@given(st.lists(st.integers(0, 20 * 24 * 60), unique=True, min_size=2, max_size=30).map(sorted), st.integers(0, 25))
def test_no_version_is_kept_for_less_than_the_shortest_term(minutes: list[int], days: int) -> None:
    times = [NOW + minute * MINUTE for minute in minutes]
    retention = Retention(1, days, thin=True)
    for published, replaced in pairwise(times):
        assert retention.term(published, replaced).until >= replaced + retention.shortest_term


@pytest.mark.parametrize(
    "retention", [Retention(0, 1), Retention(-1, 1), Retention(1, -1), Retention(100_001, 1), Retention(1, 36_501)]
)
def test_an_invalid_retention_is_refused(retention: Retention) -> None:
    with pytest.raises(InvalidArgument, match="must be"):
        check_retention(retention)
