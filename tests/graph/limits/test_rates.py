"""Rate limits: no caller exceeds the rate of their bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.limits import rates
from graph.limits.rates import BURST_SECONDS, RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 50), st.lists(st.floats(0, 0.2), max_size=200))
def test_no_interval_has_more_requests_than_the_burst_and_the_rate_allow(rate: int, pauses: list[float]) -> None:
    clock = Clock()
    buckets, taken = RateLimiter(rate, clock), list[float]()
    for pause in pauses:
        clock.now += pause
        if not buckets.take_token("ada"):
            taken.append(clock.now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            limit = rate * BURST_SECONDS + rate * (taken[last] - begin) + 1e-6
            assert last - first + 1 <= limit + 1


@given(st.integers(1, 50))
def test_a_request_after_the_returned_wait_is_accepted(rate: int) -> None:
    clock = Clock()
    buckets = RateLimiter(rate, clock)
    while not (wait := buckets.take_token("ada")):
        pass
    clock.now += wait + 1e-9
    assert buckets.take_token("ada") == 0


def test_callers_have_separate_buckets() -> None:
    buckets = RateLimiter(1, Clock())
    while not buckets.take_token("ada"):
        pass
    assert buckets.take_token("bob") == 0


def test_a_rate_of_zero_means_no_limit() -> None:
    buckets = RateLimiter(0, Clock())
    assert not any(buckets.take_token("ada") for _ in range(1000))


def test_the_least_recent_callers_are_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_CALLERS", 3)
    buckets = RateLimiter(1, Clock())
    for name in "abcdefgh":
        buckets.take_token(name)
    assert len(buckets._buckets) == 3
