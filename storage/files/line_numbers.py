"""The lines of the rows of a file, remembered as ranges: nearly every file has one row a line."""

from bisect import bisect_right
from collections.abc import Sequence

MAX_RANGES = 10_000
"""Ranges that are remembered. The lines of rows after the last of them are unknown."""


class LineNumbers:
    """The line of each row. In a range, rows on consecutive lines, the difference of line and position is constant."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._differences: list[int] = []
        self._end = 0
        self._is_full = False

    def add(self, positions: Sequence[int], lines: Sequence[int]) -> None:
        """Add the next rows, in ascending order of their positions and lines."""
        if not lines or self._is_full:
            return
        known = self._differences[-1] if self._differences else None
        if lines[0] - positions[0] == known == lines[-1] - positions[-1]:
            self._end = positions[-1] + 1
            return
        for position, line in zip(positions, lines, strict=True):
            if not self._differences or line - position != self._differences[-1]:
                if len(self._starts) == MAX_RANGES:
                    self._is_full = True
                    return
                self._starts.append(position)
                self._differences.append(line - position)
            self._end = position + 1

    def line_of(self, position: int) -> int | None:
        """Return the line of a row, from 1; None if it is unknown, or the file has no such row."""
        found = bisect_right(self._starts, position) - 1
        return position + self._differences[found] if found >= 0 and position < self._end else None
