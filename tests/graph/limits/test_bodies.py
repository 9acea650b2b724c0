"""The memory for request bodies, over all requests of a process."""

import pytest

from graph.limits.bodies import BodyBudget
from graph.limits.limits import OverLimit


def test_bodies_are_limited_over_all_callers_and_for_each() -> None:
    budget = BodyBudget(100)
    budget.reserve("ada", 30)
    budget.reserve("ada", 20)
    with pytest.raises(OverLimit) as caught:
        budget.reserve("ada", 1)
    assert (caught.value.code, caught.value.status) == ("SERVER_BUSY", 503)
    budget.reserve("bob", 50)
    with pytest.raises(OverLimit):
        budget.reserve("cyd", 1)


def test_released_memory_can_be_reserved_again() -> None:
    budget = BodyBudget(100)
    for _ in range(3):
        budget.reserve("ada", 50)
        budget.release("ada", 50)
    assert budget._by_caller == {}
