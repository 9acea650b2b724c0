"""A sparkline: the course of a few numbers, without axes."""

from collections.abc import Sequence

WIDTH, HEIGHT, MARGIN = 100.0, 24.0, 2.0


def sparkline(values: Sequence[int]) -> str:
    """Return the points of a polyline, in a box of 100 by 24, for values from the oldest to the newest.

    Empty for fewer than two values. Equal values are a line in the middle.
    """
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    step = WIDTH / (len(values) - 1)
    span = HEIGHT - 2 * MARGIN

    def y(value: int) -> float:
        return HEIGHT - MARGIN - span * (value - low) / (high - low) if high > low else HEIGHT / 2

    return " ".join(f"{index * step:.1f},{y(value):.1f}" for index, value in enumerate(values))
