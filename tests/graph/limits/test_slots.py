"""The limits of what is open at once: per process and per caller."""

from contextlib import ExitStack

import pytest

from graph.limits.limits import OverLimit
from graph.limits.slots import Slots


def slots(limit: int, limit_per_caller: int = 100) -> Slots:
    return Slots("subscriptions", "TOO_MANY_SUBSCRIPTIONS", limit, limit_per_caller)


def test_a_subscription_that_ends_frees_its_slot() -> None:
    subscriptions = slots(1)
    for _ in range(3):
        with subscriptions.slot("ada"):
            pass
    with pytest.raises(ZeroDivisionError), subscriptions.slot("ada"):
        raise ZeroDivisionError
    with subscriptions.slot("ada"):
        pass


def test_the_limit_of_a_process_applies_to_all_callers() -> None:
    subscriptions = slots(2)
    with subscriptions.slot("ada"), subscriptions.slot("bob"):
        with pytest.raises(OverLimit, match="has 2 subscriptions; the limit is 2") as caught:
            subscriptions.slot("cyd").__enter__()
        assert (caught.value.code, caught.value.status) == ("TOO_MANY_SUBSCRIPTIONS", 429)


def test_one_caller_cannot_use_all_slots() -> None:
    subscriptions = slots(100, 3)
    with ExitStack() as active:
        for _ in range(3):
            active.enter_context(subscriptions.slot("ada"))
        with pytest.raises(OverLimit, match="You have 3"):
            subscriptions.slot("ada").__enter__()
        with subscriptions.slot("bob"):
            pass
    assert not subscriptions._by_caller
