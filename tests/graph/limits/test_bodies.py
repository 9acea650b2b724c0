"""The memory for request bodies, over all requests of a process."""

import asyncio

import pytest

from graph.limits import bodies
from graph.limits.bodies import BodyBudget
from graph.limits.limits import OverLimit


async def test_bodies_are_limited_over_all_callers_and_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "WAIT_SECONDS", 0.0)
    budget = BodyBudget(100)
    await budget.reserve("ada", 30)
    await budget.reserve("ada", 20)
    with pytest.raises(OverLimit) as caught:
        await budget.reserve("ada", 1)
    assert (caught.value.code, caught.value.status) == ("SERVER_BUSY", 503)
    await budget.reserve("bob", 50)
    with pytest.raises(OverLimit):
        await budget.reserve("cyd", 1)


async def test_a_request_waits_until_memory_is_released() -> None:
    budget = BodyBudget(100)
    await budget.reserve("ada", 50)
    waiting = [asyncio.create_task(budget.reserve("ada", 25)) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    budget.release("ada", 50)
    await asyncio.gather(*waiting)
    budget.release("ada", 25)
    budget.release("ada", 25)
    assert budget._by_caller == {}
