"""The minimum versions that a request requires."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage import PriceList


@dataclass(frozen=True, slots=True)
class MinVersions:
    """The version that must have been published of each list before a request follows the list's pointer.

    The highest version that was ever current counts, so a later rollback does not undo it.
    """

    default: int = 0
    """Minimum of the lists that `by_list` does not name."""
    by_list: Mapping[str, int] = field(default_factory=dict)

    def minimum(self, price_list: str) -> int:
        """Return the minimum version of a list; 0 allows any."""
        return self.by_list.get(price_list, self.default)

    def is_reached_by(self, pointer: PriceList) -> bool:
        """Whether the list has published its minimum version."""
        return pointer.published_version >= self.minimum(pointer.name)


NONE = MinVersions()
