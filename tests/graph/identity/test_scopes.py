"""Scopes: granted for all lists, for one, or for lists by prefix, and for no other list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.identity.scopes import BadGrant, Grants, Scope

names = st.from_regex(r"[a-c][a-c.-]{0,3}", fullmatch=True)
grants = st.tuples(st.sampled_from(Scope), st.none() | names, st.booleans())

INCLUDED = {
    Scope.PRICES_READ: {Scope.PRICES_READ},
    Scope.BATCHES_WRITE: {Scope.BATCHES_WRITE, Scope.PRICES_READ},
    Scope.SNAPSHOTS_OPERATE: {Scope.SNAPSHOTS_OPERATE, Scope.PRICES_READ},
    Scope.ADMIN: set(Scope),
}


def format_grant(scope: Scope, name: str | None, prefix: bool) -> str:
    return scope if name is None else f"{scope}:{name}{'*' if prefix else ''}"


@given(st.lists(grants, max_size=6), st.sampled_from(Scope), names)
def test_a_scope_applies_to_exactly_the_lists_of_its_grants(
    granted: list[tuple[Scope, str | None, bool]], scope: Scope, price_list: str
) -> None:
    expected = any(
        scope in INCLUDED[each] and (name is None or price_list == name or (prefix and price_list.startswith(name)))
        for each, name, prefix in granted
    )
    assert (price_list in Grants.parse(format_grant(*each) for each in granted).lists(scope)) is expected


@pytest.mark.parametrize(
    "text",
    ["", "prices", "prices:write", "admin:", "admin:*", "admin:Shop", "admin:a b", "admin:a*b", "ADMIN", "admin\n"],
)
def test_an_invalid_grant_is_rejected(text: str) -> None:
    with pytest.raises(BadGrant, match="is not a grant: use prices:read"):
        Grants.parse([text])


def test_scopes_of_other_services_in_a_token_are_ignored() -> None:
    grants = Grants.parse_valid(["openid", "prices:read:shop", "mail:send"])
    assert grants == Grants.parse(["prices:read:shop"])
