"""The scopes of the person who signed in, as the API returns them: pages offer nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from console.client import Json

CALLER = """
query ConsoleCaller {
  caller { name grants { scope priceList priceListPrefix } }
}"""


class Scope(StrEnum):
    """The scopes that pages ask about."""

    BATCHES_WRITE = "BATCHES_WRITE"
    SNAPSHOTS_OPERATE = "SNAPSHOTS_OPERATE"


@dataclass(frozen=True, slots=True)
class Grant:
    """A scope, for one price list, for those with a prefix, or for all."""

    scope: str
    price_list: str | None
    prefix: str | None

    def includes(self, price_list: str) -> bool:
        """Whether the grant is for a price list."""
        if self.price_list is not None:
            return self.price_list == price_list
        return self.prefix is None or price_list.startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller of the API."""

    name: str
    grants: tuple[Grant, ...]

    @classmethod
    def parse(cls, data: Json) -> "Caller":
        """Return the caller of a response to `CALLER`."""
        grants: Iterable[Json] = data["caller"]["grants"]
        return cls(
            data["caller"]["name"],
            tuple(Grant(each["scope"], each["priceList"], each["priceListPrefix"]) for each in grants),
        )

    def may(self, scope: Scope, price_list: str) -> bool:
        """Whether the caller has a scope for a price list."""
        return any(grant.scope == scope and grant.includes(price_list) for grant in self.grants)

    def may_anywhere(self, scope: Scope) -> bool:
        """Whether the caller has a scope for any price list."""
        return any(grant.scope == scope for grant in self.grants)

    def works_anywhere(self) -> bool:
        """Whether the caller sees the batches of any price list."""
        return any(map(self.may_anywhere, Scope))
