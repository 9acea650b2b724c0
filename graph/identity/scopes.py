"""Scopes: what a caller may do, for all price lists or for some.

A grant is written `SCOPE` for all lists, `SCOPE:NAME` for one list, and `SCOPE:PREFIX*` for lists by prefix. Grants are
separated by spaces, as in the `scope` of OAuth 2.0 (RFC 6749, section 3.3).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from storage import ALL_LISTS, ListFilter


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

NO_LISTS = ListFilter()


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

    reaches: Mapping[Scope, ListFilter]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Grants":
        """Parse grants. Raises `BadGrant`."""
        reaches: dict[Scope, ListFilter] = {}
        for text in texts:
            match = _grant(text)
            if match is None:
                raise BadGrant(text)
            for scope in _INCLUDES[Scope(match[1])]:
                reaches[scope] = reaches.get(scope, NO_LISTS) | _reach(match[2], prefix=bool(match[3]))
        return cls(reaches)

    @classmethod
    def known(cls, texts: Iterable[str]) -> "Grants":
        """Parse the valid grants among the texts, and ignore others: tokens may contain scopes of other services."""
        return cls.of(text for text in texts if _grant(text))

    def reach(self, scope: Scope) -> ListFilter:
        """Return the price lists for which a scope is granted."""
        return self.reaches.get(scope, NO_LISTS)


def _reach(name: str | None, *, prefix: bool) -> ListFilter:
    if name is None:
        return ALL_LISTS
    return ListFilter(prefixes=(name,)) if prefix else ListFilter(names=frozenset({name}))


EVERYTHING = Grants.of([Scope.ADMIN])
"""The grants of operators with direct access to the database."""
