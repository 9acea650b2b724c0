"""Callers of the API, their grants, and the errors of access control."""

import hashlib
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

from graph.identity.scopes import Grants, Scope
from storage import NO_LISTS, ListFilter, PricebookError

ANONYMOUS = "anonymous"
"""The name of callers without credentials, and of their view, which shared caches may store."""

WORKING = (Scope.BATCHES_WRITE, Scope.SNAPSHOTS_OPERATE)
"""The scopes of callers who work on a list: they see its internals and its unpublished versions."""


class AccessError(PricebookError):
    """The caller has no access. The message reveals nothing about the data."""

    status: ClassVar[int]


class Unauthenticated(AccessError):
    """Credentials are missing or invalid."""

    code = "UNAUTHENTICATED"
    status = 401

    def __init__(self, reason: str = "Credentials are required.") -> None:
        super().__init__(f"{reason} Send `Authorization: Bearer ...` with a token or an API key.")


class Forbidden(AccessError):
    """The caller does not have the required scope."""

    code = "FORBIDDEN"
    status = 403

    def __init__(self, scopes: Collection[Scope]) -> None:
        required = " or ".join(f"`{scope}`" for scope in scopes)
        super().__init__(f"The scope {required} is required for this list. Ask an admin of Pricebook for it.")


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. `expires_at` is the expiry of the credentials, in seconds since the epoch.

    `works_on` are the lists whose unpublished versions the caller may see. `view` identifies what the caller may read,
    those versions included: callers with the same view get the same responses.
    """

    name: str
    grants: Grants
    expires_at: float | None = None
    works_on: ListFilter = field(init=False)
    view: str = field(init=False)

    def __post_init__(self) -> None:
        works_on = self.lists(WORKING)
        view = ANONYMOUS if self.name == ANONYMOUS else _digest(self.grants.lists(Scope.PRICES_READ), works_on)
        object.__setattr__(self, "works_on", works_on)
        object.__setattr__(self, "view", view)

    @property
    def may_write(self) -> bool:
        """Whether the caller may send batches to any list."""
        return Scope.BATCHES_WRITE in self.grants.lists_by_scope

    @property
    def has_grants(self) -> bool:
        """Whether the caller has any grant."""
        return bool(self.grants.lists_by_scope)

    def lists(self, scopes: Collection[Scope]) -> ListFilter:
        """Return the price lists for which the caller has any of the scopes."""
        lists = NO_LISTS
        for scope in scopes:
            lists |= self.grants.lists(scope)
        return lists

    def require_any_list(self, scopes: Collection[Scope]) -> ListFilter:
        """Return the price lists for which the caller has any of the scopes. Raises `AccessError` if there are none."""
        self.check_expiry()
        lists = self.lists(scopes)
        if lists == NO_LISTS:
            raise self._access_error(scopes)
        return lists

    def require(self, scopes: Collection[Scope], price_list: str) -> None:
        """Raise `AccessError` unless the caller has any of the scopes for a price list."""
        self.check_expiry()
        for scope in scopes:
            if price_list in self.grants.lists(scope):
                return
        raise self._access_error(scopes)

    def check_expiry(self) -> None:
        """Raise `Unauthenticated` if the credentials have expired."""
        if self.expires_at is not None and self.expires_at < time.time():
            raise Unauthenticated("These credentials have expired.")

    def _access_error(self, scopes: Collection[Scope]) -> AccessError:
        return Unauthenticated() if self.name == ANONYMOUS else Forbidden(scopes)


def _digest(*filters: ListFilter) -> str:
    text = repr([(lists.everything, sorted(lists.names), lists.prefixes) for lists in filters])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
