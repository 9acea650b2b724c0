"""Changes of rows to a version: the numbers of added, removed, changed and unchanged prices."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from storage.mongodb.connection import Document

LargestChange = tuple[Decimal, str]


class Changes(msgspec.Struct, frozen=True, rename="camel"):
    """Numbers of prices that rows add, remove, change or leave unchanged in the version with the layers `base`.

    The version is identified by its layers: after a compaction the rows are compared again. `largest_change` is that
    of an amount, in percent, with its sku.
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


def combine(parts: Iterable[Changes | None]) -> Changes | None:
    """Return the changes of all parts; None unless all were compared with the same version."""
    every = list(parts)
    compared = [part for part in every if part is not None]
    if len(compared) < len(every) or len({part.base for part in compared}) != 1:
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
