"""The step chart: lines that hold a price until the next, and end at gaps and where the currency changes."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from console.charts.steps import Run, runs_of, step_options, steps_of
from console.client import Json
from console.frame.viewer import Viewer
from tests.console.prices import price

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
VIEWER = Viewer(ZoneInfo("Europe/Paris"), is_dark=False)


def at(minute: int) -> str:
    return f"2026-11-30T11:{minute:02}:00+00:00"


def periods(*prices: Json | None) -> list[Json]:
    """Return a timeline whose periods begin a minute apart, the last of which lasts."""
    count = len(prices)
    return [
        {"from": at(index), "until": at(index + 1) if index + 1 < count else None, "version": index + 1, "price": each}
        for index, each in enumerate(prices)
    ]


def runs(*prices: Json | None) -> list[Run]:
    return runs_of(steps_of(periods(*prices), NOW, frozenset()))


def shape(*prices: Json | None) -> list[tuple[str, list[str]]]:
    return [(run.currency, [step.amount for step in run.steps]) for run in runs(*prices)]


def points(options: Json) -> list[list[tuple[int, float | None]]]:
    """Return the points of each series: the minute, and the amount."""
    start = datetime.fromisoformat(at(0)).timestamp() * 1000
    return [
        [((each["value"][0] - start) // 60_000, each["value"][1]) for each in series["data"]]
        for series in options["series"]
    ]


def options(*prices: Json | None, marked: frozenset[str] = frozenset()) -> Json:
    return step_options(steps_of(periods(*prices), NOW, marked), datetime.fromisoformat(at(0)), NOW, VIEWER)


def test_one_period_is_a_line_until_now() -> None:
    ((step,),) = [run.steps for run in runs(price("1.50"))]
    assert (step.since.isoformat(), step.until) == (at(0), NOW)
    assert points(options(price("1.50"))) == [[(0, 1.5), (60, 1.5), (60, None)]]


def test_equal_prices_and_others_are_one_line_without_a_gap() -> None:
    assert shape(price("1"), price("1"), price("2")) == [("EUR", ["1", "1", "2"])]
    assert points(options(price("1"), price("2"))) == [[(0, 1.0), (1, 2.0), (60, 2.0), (60, None)]]


def test_a_time_without_a_price_is_a_gap() -> None:
    assert shape(price("1"), None, price("1")) == [("EUR", ["1"]), ("EUR", ["1"])]
    assert shape(None, price("1"), None) == [("EUR", ["1"])]
    assert shape(None) == []
    drawn = points(options(price("1"), None, price("3")))
    assert drawn == [[(0, 1.0), (1, 1.0), (1, None), (2, 3.0), (60, 3.0), (60, None)]]


def test_a_version_that_has_expired_is_a_gap_too() -> None:
    first, _, last = periods(price("1"), price("2"), price("3"))
    assert len(runs_of(steps_of([first, last], NOW, frozenset()))) == 2


def test_another_currency_ends_the_line_and_has_one_of_its_own() -> None:
    prices = price("1"), price("1", "USD"), price("2")
    assert shape(*prices) == [("EUR", ["1"]), ("USD", ["1"]), ("EUR", ["2"])]
    shown = options(*prices)
    assert [each["name"] for each in shown["series"]] == shown["legend"]["data"] == ["EUR", "USD"]
    assert points(shown)[1] == [(1, 1.0), (2, 1.0), (2, None)]


def test_huge_amounts_are_drawn_and_told_exactly() -> None:
    amount = "9999999999999999999999999999999.99"
    shown = options(price("0.01"), price(amount))
    assert amount in shown["series"][0]["data"][1]["label"]
    json.dumps(shown, allow_nan=False)


def test_a_rollback_is_marked_where_it_changed_the_price() -> None:
    first, second = options(price("1"), price("2"), marked=frozenset({at(1)}))["series"][0]["data"][:2]
    assert "itemStyle" not in first
    assert "itemStyle" in second
    assert "rolled back" in second["label"]
