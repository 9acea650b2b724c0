"""What is followed at once: of all and of each, and room that is given back."""

from contextlib import ExitStack

import pytest

from graph.limits.limits import OverLimit
from graph.limits.subscriptions import Subscriptions


def test_room_is_given_back() -> None:
    subscriptions = Subscriptions(1)
    for _ in range(3):
        with subscriptions.slot("ada"):
            pass
    with pytest.raises(ZeroDivisionError), subscriptions.slot("ada"):
        raise ZeroDivisionError
    with subscriptions.slot("ada"):
        pass


def test_over_the_room_of_all_nobody_follows_more() -> None:
    subscriptions = Subscriptions(2)
    with subscriptions.slot("ada"), subscriptions.slot("bob"):
        with pytest.raises(OverLimit, match="2 operations are followed, and 2 are allowed") as caught:
            subscriptions.slot("cyd").__enter__()
        assert (caught.value.code, caught.value.status) == ("TOO_MANY_SUBSCRIPTIONS", 429)


def test_no_caller_takes_the_room_of_all_others() -> None:
    subscriptions = Subscriptions(100, most_of_each=3)
    with ExitStack() as followed:
        for _ in range(3):
            followed.enter_context(subscriptions.slot("ada"))
        with pytest.raises(OverLimit, match="You follow 3"):
            subscriptions.slot("ada").__enter__()
        with subscriptions.slot("bob"):
            pass
    assert not subscriptions._followed
