"""Scopes: what a caller may do, for all price lists or for some.

A grant is written `SCOPE`, for all lists; `SCOPE:NAME` for one, `SCOPE:PREFIX*` for those that begin so. Several are
separated by spaces, as in the `scope` of OAuth 2.0 (RFC 6749, section 3.3).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from storage import ALL_LISTS, ListFilter


class Scope(StrEnum):
    """What can be granted."""

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
"""Who may change a list may read it, and an admin may do everything with it."""

_grant = re.compile(rf"({'|'.join(Scope)})(?::([a-z0-9][a-z0-9._-]{{0,62}})(\*)?)?", re.ASCII).fullmatch

NO_LISTS = ListFilter()


class BadGrant(ValueError):
    """A text that is no grant."""

    def __init__(self, text: str) -> None:
        scopes = ", ".join(Scope)
        super().__init__(f"{text[:100]!r} is no grant: use {scopes}, with `:LIST` or `:PREFIX*` for some lists only")


@dataclass(frozen=True, slots=True)
class Grants:
    """What was granted: for each scope, the lists that it reaches."""

    reaches: Mapping[Scope, ListFilter]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Grants":
        """Return the grants of these texts. Raises `BadGrant`."""
        reaches: dict[Scope, ListFilter] = {}
        for text in texts:
            found = _grant(text)
            if found is None:
                raise BadGrant(text)
            for scope in _INCLUDES[Scope(found[1])]:
                reaches[scope] = reaches.get(scope, NO_LISTS) | _reach(found[2], prefix=bool(found[3]))
        return cls(reaches)

    @classmethod
    def known(cls, texts: Iterable[str]) -> "Grants":
        """Return the grants among these texts; others are none of ours, as a token may have for other services."""
        return cls.of(text for text in texts if _grant(text))

    def reach(self, scope: Scope) -> ListFilter:
        """Return the lists for which a scope was granted."""
        return self.reaches.get(scope, NO_LISTS)


def _reach(name: str | None, *, prefix: bool) -> ListFilter:
    if name is None:
        return ALL_LISTS
    return ListFilter(prefixes=(name,)) if prefix else ListFilter(names=frozenset({name}))


EVERYTHING = Grants.of([Scope.ADMIN])
"""What those may do who reach the database itself."""
