"""A caller may do what its grants include, and nothing else."""

import pytest

from console.sessions.caller import Caller, Grant, Scope


@pytest.mark.parametrize(
    ("grant", "allowed"),
    [
        (Grant("SNAPSHOTS_OPERATE", None, None), {"shop", "shop-eu", "other"}),
        (Grant("SNAPSHOTS_OPERATE", "shop", None), {"shop"}),
        (Grant("SNAPSHOTS_OPERATE", None, "shop"), {"shop", "shop-eu"}),
        (Grant("PRICES_READ", None, None), set()),
    ],
)
def test_a_grant_is_for_one_list_or_for_those_with_a_prefix_or_for_all(grant: Grant, allowed: set[str]) -> None:
    caller = Caller("olivia", (grant,))
    lists = {"shop", "shop-eu", "other"}
    assert {each for each in lists if caller.may(Scope.SNAPSHOTS_OPERATE, each)} == allowed
    assert caller.may_anywhere(Scope.SNAPSHOTS_OPERATE) == bool(allowed)
