"""What rows do to a version, in numbers: added, removed, changed and unchanged prices."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from storage.mongodb.connection import Document

LargestChange = tuple[Decimal, str]


class Changes(msgspec.Struct, frozen=True, rename="camel"):
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
        """Return the fields that are stored with a part or a batch."""
        document: Document = msgspec.to_builtins(self, order="deterministic")
        return document


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
