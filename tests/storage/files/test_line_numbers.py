"""The lines of rows: remembered as ranges, up to a limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.files import line_numbers
from storage.files.line_numbers import LineNumbers


@given(st.lists(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 2)), max_size=5), max_size=8))
def test_each_row_has_its_line(slices: list[list[tuple[int, int]]]) -> None:
    numbers, expected, position, line = LineNumbers(), dict[int, int](), -1, 0
    for steps in slices:
        rows = {}
        for step, more in steps:
            position, line = position + step, line + step + more
            rows[position] = line
        numbers.add(list(rows), list(rows.values()))
        expected |= rows
    assert {row: numbers.line_of(row) for row in expected} == expected
    assert numbers.line_of(position + 1) is None


def test_after_the_last_range_lines_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_numbers, "MAX_RANGES", 2)
    numbers = LineNumbers()
    numbers.add(range(3), [1, 2, 4])
    numbers.add(range(3, 5), [5, 7])
    assert [numbers.line_of(row) for row in range(6)] == [1, 2, 4, 5, None, None]
