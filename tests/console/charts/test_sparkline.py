"""A sparkline fits its box, from the oldest value to the newest."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.charts.sparkline import HEIGHT, MARGIN, WIDTH, sparkline


@pytest.mark.parametrize("values", [[], [5]])
def test_fewer_than_two_values_have_no_course(values: list[int]) -> None:
    assert sparkline(values) == ""


def test_equal_values_are_a_line_in_the_middle() -> None:
    assert sparkline([7, 7, 7]) == "0.0,12.0 50.0,12.0 100.0,12.0"


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=30))
def test_higher_values_stand_higher_and_all_within_the_box(values: list[int]) -> None:
    points = [tuple(map(float, point.split(","))) for point in sparkline(values).split(" ")]
    assert points[0][0] == 0
    assert points[-1][0] == WIDTH
    assert all(MARGIN <= y <= HEIGHT - MARGIN for _, y in points)
    ranked = sorted(zip(values, points, strict=True), key=lambda each: each[0])
    assert all(lower[1][1] >= higher[1][1] for lower, higher in pairwise(ranked))
