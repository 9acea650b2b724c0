"""Changes between two stacks of layers: a change of one sku, and the numbers of all of them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from storage.catalog.gates import LargestChange, change_percent
from storage.prices.price import TOMBSTONE, amount_of


class Change(NamedTuple):
    """A sku, and its rows before and after; None without a price. Equal rows are no change."""

    sku: str
    before: bytes | None
    after: bytes | None


@dataclass(slots=True)
class Changes:
    """Numbers of prices that one stack of layers adds to another, removes from it and changes.

    `largest_change` is that of an amount, in percent, with its sku: the first in sku order, of several.
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    largest_change: LargestChange | None = None

    def add(self, change: Change) -> None:
        """Count a change."""
        self._count(change, 1)
        percent = _percent(change)
        if percent is not None:
            self._add_percent(percent, change.sku)

    def replace(self, counted: Change, change: Change) -> bool:
        """Count `change` instead of one that was counted, of the same sku.

        Returns False if the largest change is no longer known: it was `counted`, and `change` is smaller.
        """
        largest = self.largest_change
        self._count(counted, -1)
        self.add(change)
        if largest is None or largest[1] != counted.sku:
            return True
        percent = _percent(change)
        return percent is not None and percent >= largest[0]

    def _count(self, change: Change, number: int) -> None:
        if change.before == change.after:
            return
        if change.before is None:
            self.added += number
        elif change.after is None:
            self.removed += number
        else:
            self.changed += number

    def _add_percent(self, percent: Decimal, sku: str) -> None:
        largest = self.largest_change
        if largest is None or percent > largest[0] or (percent == largest[0] and sku < largest[1]):
            self.largest_change = (percent, sku)


def visible_row(row: bytes | None) -> bytes | None:
    """Return the row of a price; None for a tombstone, or without a row."""
    return None if row is None or row == TOMBSTONE else row


def _percent(change: Change) -> Decimal | None:
    """Return the change of an amount in percent; None if it stays as it is."""
    if change.before is None or change.after is None or change.before == change.after:
        return None
    before, after = amount_of(change.before), amount_of(change.after)
    return None if before == after else change_percent(before, after)
