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
def test_a_version_is_kept_for_its_days(thin: bool) -> None:
    term = Retention(1, 30, thin).term(NOW, None)
    assert term == (NOW + 30 * DAY, "older than 30 days")


@pytest.mark.parametrize(
    ("following", "days", "reason"),
    [
        (MINUTE, 1, "not the last of its hour"),
        (40 * MINUTE, 7, "not the last of its day"),
        (HOUR, 7, "not the last of its day"),
        (DAY, 30, "older than 30 days"),
        (30 * DAY, 30, "older than 30 days"),
    ],
)
def test_thinning_keeps_the_last_version_of_an_hour_longer_and_that_of_a_day_longest(
    following: datetime.timedelta, days: int, reason: str
) -> None:
    assert Retention(1, 30, thin=True).term(NOW, NOW + following) == (NOW + days * DAY, reason)


@pytest.mark.parametrize("days", [0, 1])
def test_thinning_keeps_no_version_longer_than_its_days(days: int) -> None:
    term = Retention(1, days, thin=True).term(NOW, NOW + HOUR)
    assert term == (NOW + days * DAY, f"older than {days} days")


def is_kept(time: datetime.datetime, times: list[datetime.datetime], days: int, now: datetime.datetime) -> bool:
    """Whether thinning keeps the version of a time: as its documentation says, whatever comes next."""
    age, later = now - time, [other for other in times if other > time]
    if age < DAY or age >= days * DAY:
        return age < days * DAY
    if age < 7 * DAY:
        return not any((each.date(), each.hour) == (time.date(), time.hour) for each in later)
    return not any(each.date() == time.date() for each in later)


@given(
    st.lists(st.integers(0, 20 * 24 * 60), unique=True, max_size=60).map(sorted),
    st.integers(0, 25),
    st.integers(0, 10 * 24 * 60),
)
def test_thinning_keeps_what_a_simple_model_keeps(minutes: list[int], days: int, later: int) -> None:
    start = NOW - 20 * DAY
    times, now = [start + minute * MINUTE for minute in minutes], NOW + later * MINUTE
    retention = Retention(1, days, thin=True)
    following = [*times[1:], None][: len(times)]
    kept = {time for time, follower in zip(times, following, strict=True) if retention.term(time, follower).until > now}
    assert kept == {time for time in times if is_kept(time, times, days, now)}


@given(st.lists(st.integers(0, 20 * 24 * 60), unique=True, min_size=2, max_size=30).map(sorted), st.integers(0, 25))
def test_no_version_is_kept_for_less_than_the_shortest_term(minutes: list[int], days: int) -> None:
    times = [NOW + minute * MINUTE for minute in minutes]
    retention = Retention(1, days, thin=True)
    for time, follower in pairwise(times):
        assert retention.term(time, follower).until >= time + retention.shortest_term


@pytest.mark.parametrize(
    "retention", [Retention(0, 1), Retention(-1, 1), Retention(1, -1), Retention(100_001, 1), Retention(1, 36_501)]
)
def test_an_invalid_retention_is_refused(retention: Retention) -> None:
    with pytest.raises(InvalidArgument, match="must be"):
        check_retention(retention)
