"""Changes of amounts in percent: the largest ones, and how many there are of each size.

A change counts if the amounts differ, in the same currency, and the amount before is not 0. All arithmetic is exact:
percentages are compared as fractions, and never divided to a rounded number.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from heapq import heappush, heappushpop

from storage.layers.changes import Change
from storage.prices.price import head_of

RISES = tuple(map(Decimal, (0, 1, 5, 10, 25, 50, 100)))
"""Where the buckets of rises begin, in percent; the last one has no end."""

FALLS = RISES[:-1]
"""Where the buckets of falls begin, in percent of the amount before, which no fall exceeds."""

CHANGE_BUCKETS = len(FALLS) + len(RISES)
"""Number of buckets of a distribution."""

_HUNDRED = Decimal(100)

_exact = Context(prec=200, traps=[Inexact])
"""Arithmetic of amounts, of at most 34 digits, whose products have up to 105."""


@dataclass(frozen=True, slots=True)
class ChangeBucket:
    """Number of changes from `from_` to `to` percent; None without a bound. The bound nearer to 0 is inclusive."""

    from_: Decimal | None
    to: Decimal | None
    count: int


class _AmountChange:
    """A change of an amount. A smaller change orders first, and of equal ones the later sku."""

    __slots__ = ("_before", "_difference", "change")

    def __init__(self, before: Decimal, difference: Decimal, change: Change) -> None:
        self._before = before
        self._difference = difference
        self.change = change

    def __lt__(self, other: "_AmountChange") -> bool:
        one = _exact.multiply(self._difference, other._before)
        two = _exact.multiply(other._difference, self._before)
        return other.change.sku < self.change.sku if one == two else one < two


class AmountChanges:
    """Counts changes of amounts by their size in percent, and keeps the `size` largest ones."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[_AmountChange] = []
        self._rises = [0] * len(RISES)
        self._falls = [0] * len(FALLS)

    def add(self, change: Change) -> None:
        """Count a change, if it is one of an amount that has a percentage."""
        if change.before is None or change.after is None:
            return
        before, after = head_of(change.before), head_of(change.after)
        if before.currency != after.currency or before.amount == after.amount or not before.amount:
            return
        rises = after.amount > before.amount
        difference = _exact.subtract(after.amount, before.amount).copy_abs()
        percent = _exact.divide_int(_exact.multiply(_HUNDRED, difference), before.amount)
        counts, bounds = (self._rises, RISES) if rises else (self._falls, FALLS)
        counts[bisect_right(bounds, percent) - 1] += 1
        if len(self._heap) < self._size:
            heappush(self._heap, _AmountChange(before.amount, difference, change))
        elif self._heap:
            heappushpop(self._heap, _AmountChange(before.amount, difference, change))

    def largest(self) -> list[Change]:
        """Return the largest changes, by the absolute percentage and then by sku."""
        return [each.change for each in sorted(self._heap, reverse=True)]

    def distribution(self) -> Sequence[ChangeBucket]:
        """Return the number of changes in all buckets, from the largest falls to the largest rises."""
        falls = zip(FALLS, (*FALLS[1:], None), self._falls, strict=True)
        rises = zip(RISES, (*RISES[1:], None), self._rises, strict=True)
        return [
            *reversed([ChangeBucket(end and -end, -begin, count) for begin, end, count in falls]),
            *(ChangeBucket(begin, end, count) for begin, end, count in rises),
        ]
