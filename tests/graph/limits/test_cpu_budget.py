"""The CPU time of each caller for new documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.limits.cpu_budget import CPU_BURST_SECONDS, CPU_SHARE, CpuBudget
from graph.limits.limits import OverLimit
from tests.graph.limits.test_rates import Clock


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1)), max_size=100))
def test_a_caller_never_uses_more_than_the_burst_and_the_share(uses: list[tuple[float, float]]) -> None:
    clock = Clock()
    budget, used = CpuBudget(clock), 0.0
    for pause, seconds in uses:
        clock.now += pause
        try:
            budget.check("ada")
        except OverLimit:
            continue
        budget.spend("ada", seconds)
        used += seconds
        assert used <= CPU_BURST_SECONDS + CPU_SHARE * clock.now + 1.0 + 1e-6


def test_a_caller_without_time_left_is_refused_until_it_has_some_again() -> None:
    clock = Clock()
    budget = CpuBudget(clock)
    budget.spend("ada", CPU_BURST_SECONDS + 1.0)
    with pytest.raises(OverLimit) as caught:
        budget.check("ada")
    assert (caught.value.code, caught.value.status) == ("RATE_LIMITED", 429)
    budget.check("bob")
    clock.now += 1.0 / CPU_SHARE + 0.1
    budget.check("ada")
