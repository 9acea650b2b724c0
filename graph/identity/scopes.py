"""Scopes: what a caller may do, for all price lists or for some.

A grant is written `SCOPE` for all lists, `SCOPE:NAME` for one list, and `SCOPE:PREFIX*` for lists by prefix. Grants are
separated by spaces, as in the `scope` of OAuth 2.0 (RFC 6749, section 3.3).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from storage import ALL_LISTS, NO_LISTS, ListFilter


class Scope(StrEnum):
    """The scopes that can be granted."""

    PRICES_READ = "prices:read"
    BATCHES_WRITE = "batches:write"
    SNAPSHOTS_OPERATE = "snapshots:operate"
    ADMIN = "admin"


_INCLUDES: Mapping[Scope, frozenset[Scope]] = {
    Scope.PRICES_READ: frozenset({Scope.PRICES_READ}),
    Scope.BATCHES_WRITE: frozenset({Scope.BATCHES_WRITE, Scope.PRICES_READ}),
    Scope.SNAPSHOTS_OPERATE: frozenset({Scope.SNAPSHOTS_OPERATE, Scope.PRICES_READ}),
    Scope.ADMIN: frozenset(Scope),
}
"""The scopes that a scope includes: all include reading, and admin includes everything."""

_grant = re.compile(rf"({'|'.join(Scope)})(?::([a-z0-9][a-z0-9._-]{{0,62}})(\*)?)?", re.ASCII).fullmatch


class BadGrant(ValueError):
    """A text is not a valid grant."""

    def __init__(self, text: str) -> None:
        scopes = ", ".join(Scope)
        super().__init__(
            f"{text[:100]!r} is not a grant: use {scopes}; append `:LIST` or `:PREFIX*` to limit the lists"
        )


@dataclass(frozen=True, slots=True)
class Grants:
    """The granted scopes, each with the price lists for which it is granted."""

    lists_by_scope: Mapping[Scope, ListFilter]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Grants":
        """Parse grants. Raises `BadGrant`."""
        lists_by_scope: dict[Scope, ListFilter] = {}
        for text in texts:
            match = _grant(text)
            if match is None:
                raise BadGrant(text)
            for scope in _INCLUDES[Scope(match[1])]:
                lists = _list_filter(match[2], is_prefix=bool(match[3]))
                lists_by_scope[scope] = lists_by_scope.get(scope, NO_LISTS) | lists
        return cls(lists_by_scope)

    @classmethod
    def parse_valid(cls, texts: Iterable[str]) -> "Grants":
        """Parse the valid grants among the texts, and ignore others: tokens may contain scopes of other services."""
        return cls.parse(text for text in texts if _grant(text))

    def lists(self, scope: Scope) -> ListFilter:
        """Return the price lists for which a scope is granted."""
        return self.lists_by_scope.get(scope, NO_LISTS)


def _list_filter(name: str | None, *, is_prefix: bool) -> ListFilter:
    if name is None:
        return ALL_LISTS
    return ListFilter(prefixes=(name,)) if is_prefix else ListFilter(names=frozenset({name}))


EVERYTHING = Grants.parse([Scope.ADMIN])
"""The grants of operators with direct access to the database."""
