"""Rates: nobody is let through more often than their bucket fills, whatever they send and whenever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.limits import rates
from graph.limits.rates import BURST_SECONDS, Rates


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 50), st.lists(st.floats(0, 0.2), max_size=200))
def test_in_any_time_no_more_are_let_through_than_the_burst_and_what_the_rate_allows(
    rate: int, pauses: list[float]
) -> None:
    clock = Clock()
    buckets, taken = Rates(rate, clock), list[float]()
    for pause in pauses:
        clock.now += pause
        if not buckets.wait("ada"):
            taken.append(clock.now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            most = rate * BURST_SECONDS + rate * (taken[last] - begin) + 1e-6
            assert last - first + 1 <= most + 1


@given(st.integers(1, 50))
def test_who_waits_as_long_as_told_is_let_through(rate: int) -> None:
    clock = Clock()
    buckets = Rates(rate, clock)
    while not (wait := buckets.wait("ada")):
        pass
    clock.now += wait + 1e-9
    assert buckets.wait("ada") == 0


def test_one_caller_takes_nothing_from_another() -> None:
    buckets = Rates(1, Clock())
    while not buckets.wait("ada"):
        pass
    assert buckets.wait("bob") == 0


def test_a_rate_of_nothing_lets_everything_through() -> None:
    buckets = Rates(0, Clock())
    assert not any(buckets.wait("ada") for _ in range(1000))


def test_callers_that_were_seen_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_CALLERS", 3)
    buckets = Rates(1, Clock())
    for name in "abcdefgh":
        buckets.wait(name)
    assert len(buckets._buckets) == 3
