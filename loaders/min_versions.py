"""The versions that a request wants to see at the least."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage import PriceList


@dataclass(frozen=True, slots=True)
class MinVersions:
    """Of each list that a request reads by its pointer, the version that must have been published before it is read.

    A list that was rolled back since has been there: what counts is the highest version that ever was current.
    """

    every: int = 0
    of: Mapping[str, int] = field(default_factory=dict)

    def least(self, price_list: str) -> int:
        """Return the version of a list that must have been published; 0 where any will do."""
        return self.of.get(price_list, self.every)

    def reached(self, head: PriceList) -> bool:
        """Whether a pointer has seen what is wanted."""
        return head.published_version >= self.least(head.name)


NONE = MinVersions()
