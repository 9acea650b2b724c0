"""The histogram of changes: falls and rises in colours of their own, by the bounds of the API."""

from itertools import pairwise

from console.charts.chart import DARK
from console.charts.histogram import bucket_name, histogram_options, totals
from console.client import Json

BOUNDS = [None, "-50", "-10", "0", "10", "100", None]


def buckets(*counts: int) -> list[Json]:
    return [
        {"from": begin, "to": end, "count": count} for (begin, end), count in zip(pairwise(BOUNDS), counts, strict=True)
    ]


def test_falls_and_rises_are_counted_apart() -> None:
    assert totals(buckets(1, 2, 4, 8, 16, 32)) == (7, 56)
    assert totals(buckets(0, 0, 0, 0, 0, 0)) == (0, 0)


def test_buckets_are_named_by_their_bounds() -> None:
    names = [bucket_name(each) for each in buckets(0, 0, 0, 0, 0, 0)]
    assert names == ["below -50", "-50 to -10", "-10 to 0", "0 to 10", "10 to 100", "above 100"]


def test_falls_have_one_colour_and_rises_another_and_nothing_is_no_bar() -> None:
    bars = histogram_options(buckets(1, 0, 3, 4, 0, 50_000), DARK)["series"][0]["data"]
    colours = [each and each["itemStyle"]["color"] for each in bars]
    assert colours == [DARK.warn, None, DARK.warn, DARK.accent, None, DARK.accent]
    assert bars[-1] == {"value": 50_000, "name": "above 100", "itemStyle": {"color": DARK.accent}}
