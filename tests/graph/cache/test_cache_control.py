"""No cache keeps a response of the current version beyond a scheduled change of what it reads."""

import datetime
import math
import re
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.cache.cache_control import IMMUTABLE, MARGIN_SECONDS, CacheControl, CachePolicy
from storage import HEARTBEAT_INTERVAL_SECONDS, DatabaseClock

CHANGE = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)

seconds = st.integers(0, 10_000)
lefts = st.floats(-1000, 20_000, allow_nan=False)


def header(control: CacheControl, left: float = math.inf, *, immutable: bool = False) -> str:
    headers = control.headers("anonymous", b'"e"', immutable=immutable, seconds_left=left)
    return dict(headers)[b"cache-control"].decode()


def reach(text: str) -> int:
    """Return for how many seconds a cache uses a response, stale or not."""
    return sum(map(int, re.findall(r"(?:max-age|stale-while-revalidate)=(\d+)", text)))


@pytest.mark.parametrize(
    ("control", "left", "expected"),
    [
        (CacheControl(), math.inf, "public, max-age=0, must-revalidate"),
        (CacheControl(), 10, "public, max-age=0, must-revalidate"),
        (CacheControl(60), math.inf, "public, max-age=60, must-revalidate"),
        (CacheControl(60), 61, "public, max-age=60, must-revalidate"),
        (CacheControl(60), 60.9, "public, max-age=59, must-revalidate"),
        (CacheControl(60), 1.9, "public, max-age=0, must-revalidate"),
        (CacheControl(60), 0, "public, max-age=0, must-revalidate"),
        (CacheControl(60), -5, "public, max-age=0, must-revalidate"),
        (CacheControl(60, 30), math.inf, "public, max-age=60, stale-while-revalidate=30"),
        (CacheControl(60, 30), 91, "public, max-age=60, stale-while-revalidate=30"),
        (CacheControl(60, 30), 71.5, "public, max-age=60, stale-while-revalidate=10"),
        (CacheControl(60, 30), 40, "public, max-age=39, must-revalidate"),
        (CacheControl(0, 30), 10, "public, max-age=0, stale-while-revalidate=9"),
        (CacheControl(0, 30), 0, "public, max-age=0, must-revalidate"),
    ],
)
def test_the_headers_reach_up_to_the_change(control: CacheControl, left: float, expected: str) -> None:
    assert header(control, left) == expected


def test_a_response_of_a_numbered_version_is_immutable_whatever_is_scheduled() -> None:
    assert header(CacheControl(60), 5, immutable=True) == f"public, {IMMUTABLE}"
    policy = CachePolicy(CacheControl(60), "anonymous", b'"e"', True, CHANGE, clock(5))
    assert policy.freshness().valid_for == math.inf


@given(seconds, seconds, lefts)
def test_no_response_is_used_beyond_the_change_or_longer_than_set(max_age: int, stale: int, left: float) -> None:
    control = CacheControl(max_age, stale)
    found = reach(header(control, left))
    assert found <= max(0.0, left - MARGIN_SECONDS)
    assert found <= max_age + stale
    assert found == min(max_age + stale, math.floor(max(0.0, left - MARGIN_SECONDS)))


@given(seconds, seconds, lefts, st.floats(0, 1, exclude_max=True))
@example(60, 0, 100.0, 0.999)
def test_headers_that_are_kept_stay_within_the_change_while_they_are_valid(
    max_age: int, stale: int, left: float, part: float
) -> None:
    control = CacheControl(max_age, stale)
    valid_for = control.valid_for(left)
    later = left - min(valid_for, 1e6) * part
    assert reach(header(control, left)) <= max(0.0, later - MARGIN_SECONDS) + 1e-6
    if valid_for == math.inf:
        assert header(control, left) == header(control, min(left, 0.0))


@given(st.integers(1, 10_000), lefts)
def test_headers_are_renewed_soon_so_that_a_new_time_of_the_database_counts(max_age: int, left: float) -> None:
    """Before the first sample of the clock no time is left; after a failover to a slower clock, more than before."""
    assert 0 <= CacheControl(max_age).valid_for(left) <= HEARTBEAT_INTERVAL_SECONDS
    assert CacheControl(max_age).valid_for(0.0) == 1.0


def clock(left: float) -> DatabaseClock:
    class Fixed:
        def seconds_until(self, instant: datetime.datetime) -> float:
            assert instant == CHANGE
            return left

    return cast("DatabaseClock", Fixed())
