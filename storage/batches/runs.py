"""Runs: rows that are collected in memory, up to a bound, and leave it in sku order.

Sorting holds the interpreter: 65,536 skus take some 25 ms. So rows are sorted in lists of `SORTED_AT_ONCE` as they
arrive, and these are merged in steps: a step takes what all lists have below the next splitter, and sorts it, which is
quick for lists that are sorted already (sample sort: Frazer and McKellar, Journal of the ACM 1970).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from storage.prices.item_error import ItemError
from storage.prices.row_decoder import Slice

MAX_RUN_ROWS = 65_536
"""Rows of a run: nearly every batch is one run. A run of rows as integrators send them takes some 20 MB."""

MAX_RUN_BYTES = 16 << 20
"""Bytes of the rows of a run, if they are long."""

SORTED_AT_ONCE = 4096
"""Skus that are sorted at once: about a millisecond."""

SAMPLED_EVERY = 256
"""One of this many skus of each sorted list is a possible splitter."""

SAMPLES_PER_STEP = 8
"""Samples between two splitters: a step has about `SAMPLES_PER_STEP * SAMPLED_EVERY` rows."""


class SortedRows(NamedTuple):
    """Consecutive rows of a run in sku order, with their positions in what was sent."""

    skus: list[str]
    rows: list[bytes]
    positions: list[int]


class Run:
    """The rows that were collected, without repeated skus."""

    def __init__(self) -> None:
        self.bytes = 0
        self._places: dict[str, int] = {}
        self._rows: list[bytes] = []
        self._positions: list[int] = []
        self._unsorted: list[str] = []
        self._sorted: list[list[str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def is_full(self) -> bool:
        """Whether a bound is reached. A slice may exceed it by its own size."""
        return len(self._rows) >= MAX_RUN_ROWS or self.bytes >= MAX_RUN_BYTES

    def add(self, rows: Slice) -> list[ItemError]:
        """Add rows, and return the errors of those whose sku the run has."""
        errors: list[ItemError] = []
        before, after = len(self), len(self) + len(rows.skus)
        self._places.update(zip(rows.skus, range(before, after), strict=True))
        if len(self._places) == after:
            self._rows += rows.rows
            self._positions += rows.positions
            self._unsorted += rows.skus
        else:
            # The skus are in the order of their places, so those from before the update can be restored.
            self._places = dict(zip(islice(self._places, before), range(before), strict=True))
            errors = self._add_one_by_one(rows)
        self.bytes += sum(map(len, rows.rows))
        if len(self._unsorted) >= SORTED_AT_ONCE:
            self._sort()
        return errors

    def _add_one_by_one(self, rows: Slice) -> list[ItemError]:
        errors = []
        for sku, row, position in zip(rows.skus, rows.rows, rows.positions, strict=True):
            place = self._places.setdefault(sku, len(self))
            if place < len(self):
                errors.append(repeated_sku(sku, position, self._positions[place]))
                continue
            self._rows.append(row)
            self._positions.append(position)
            self._unsorted.append(sku)
        return errors

    def _sort(self) -> None:
        self._sorted.append(sorted(self._unsorted))
        self._unsorted = []

    def in_sku_order(self) -> Iterator[SortedRows]:
        """Yield the rows in sku order, in steps of some milliseconds of work."""
        if self._unsorted:
            self._sort()
        samples = sorted(sku for skus in self._sorted for sku in skus[::SAMPLED_EVERY])
        starts = [0] * len(self._sorted)
        for splitter in [*samples[SAMPLES_PER_STEP::SAMPLES_PER_STEP], None]:
            step: list[str] = []
            for number, skus in enumerate(self._sorted):
                end = len(skus) if splitter is None else bisect_left(skus, splitter, starts[number])
                step += skus[starts[number] : end]
                starts[number] = end
            step.sort()
            places = list(map(self._places.__getitem__, step))
            yield SortedRows(
                step, list(map(self._rows.__getitem__, places)), list(map(self._positions.__getitem__, places))
            )


def repeated_sku(sku: str, index: int, earlier: int) -> ItemError:
    """Return the error of a sku that was sent before, as the item `earlier`."""
    return ItemError(index, sku, "sku", "DUPLICATE_SKU", repeated_message(earlier), duplicate_of=earlier)


def repeated_message(earlier: int) -> str:
    """Return the message of a sku that was sent before, if the lines of both items are unknown."""
    return f"The sku is also that of item {earlier}. Keep one of the two."


def with_lines(error: ItemError, line_of: Callable[[int], int | None]) -> ItemError:
    """Return the error of a sku that was sent before with the lines of both items, if they are known."""
    if error.duplicate_of is None:
        return error
    line, earlier = line_of(error.index), line_of(error.duplicate_of)
    if line is None or earlier is None:
        return error
    return replace(error, line=line, message=f"The sku is also on line {earlier}. Keep one of the two lines.")
