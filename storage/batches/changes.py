"""What rows do to a version, in numbers: added, removed, changed and unchanged prices."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from storage.mongodb.connection import Document

LargestChange = tuple[Decimal, str]


@dataclass(frozen=True, slots=True)
class Changes:
    """What some rows do to the version of layers `base`, in prices.

    A version is named by its layers, so that what was compared before a compaction is not taken for what is there
    now. `largest_change` is in percent, with the sku that has it.
    """

    base: tuple[str, ...]
    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0
    currencies: frozenset[str] = frozenset()
    largest_change: LargestChange | None = None

    def to_document(self) -> Document:
        """Return what is stored with a part or a batch."""
        return {
            "base": list(self.base),
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "currencies": sorted(self.currencies),
            "largestChange": self.largest_change and [str(self.largest_change[0]), self.largest_change[1]],
        }

    @classmethod
    def from_document(cls, document: Document) -> "Changes":
        """Return what was stored with a part or a batch."""
        largest = document["largestChange"]
        return cls(
            tuple(document["base"]),
            document["added"],
            document["removed"],
            document["changed"],
            document["unchanged"],
            frozenset(document["currencies"]),
            largest and (Decimal(largest[0]), largest[1]),
        )


def together(parts: Iterable[Changes | None]) -> Changes | None:
    """Return what all parts do; None unless each was compared, and with the same version."""
    known = list(parts)
    compared = [part for part in known if part is not None]
    if len(compared) < len(known) or len({part.base for part in compared}) != 1:
        return None
    return Changes(
        compared[0].base,
        sum(part.added for part in compared),
        sum(part.removed for part in compared),
        sum(part.changed for part in compared),
        sum(part.unchanged for part in compared),
        frozenset().union(*(part.currencies for part in compared)),
        max((part.largest_change for part in compared if part.largest_change), default=None),
    )
