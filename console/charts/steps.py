"""A step chart: what a price was over time, with gaps where there was none or its currency changed."""

from collections.abc import Iterator, Sequence, Set
from datetime import datetime
from typing import NamedTuple

from nicegui import ui

from console.charts.chart import Palette, chart, milliseconds, palette
from console.client import Json
from console.frame.viewer import Viewer, parse_instant

HEIGHT = 320

MAX_DOTS = 100
"""Steps up to which each has a dot."""

MIN_ZOOM_STEPS = 12
"""Steps from which the chart can be zoomed."""

_TOOLTIP = "points => points.filter(each => each.data?.label).map(each => each.data.label).join('\\n')"


class Step(NamedTuple):
    """A time in which a sku had one price. `amount` is exact; `mark` says that a rollback led to it."""

    since: datetime
    until: datetime
    amount: str
    currency: str
    version: int
    mark: bool


class Run(NamedTuple):
    """Steps in one currency, without a gap between them."""

    currency: str
    steps: list[Step]


def steps_of(periods: Sequence[Json], now: datetime, marked: Set[str]) -> list[Step]:
    """Return the steps of a timeline, oldest first. Periods without a price have none.

    `marked` has the instants at which a rollback changed the current version.
    """
    return [
        Step(
            parse_instant(each["from"]),
            parse_instant(each["until"]) if each["until"] else now,
            each["price"]["amount"],
            each["price"]["currency"],
            each["version"],
            each["from"] in marked,
        )
        for each in periods
        if each["price"]
    ]


def runs_of(steps: Sequence[Step]) -> list[Run]:
    """Return the steps in runs: a new one begins after a gap, and where the currency changes."""
    runs: list[Run] = []
    for step in steps:
        last = runs[-1] if runs else None
        if last and last.currency == step.currency and last.steps[-1].until == step.since:
            last.steps.append(step)
        else:
            runs.append(Run(step.currency, [step]))
    return runs


def step_chart(viewer: Viewer, sku: str, steps: Sequence[Step], since: datetime, now: datetime) -> ui.echart:
    """Show the chart of the steps of a sku, from `since` to `now`."""
    label = f"Step chart of the price of {sku}: {len(steps):,} prices."
    return chart(viewer, label, step_options(steps, since, now, viewer), height=HEIGHT)


def step_options(steps: Sequence[Step], since: datetime, now: datetime, viewer: Viewer) -> Json:
    """Return the options of the chart: a series for each currency."""
    colours = palette(viewer)
    runs = runs_of(steps)
    currencies = list(dict.fromkeys(run.currency for run in runs))
    options: Json = {
        "color": [colours.accent, colours.good, colours.bad, colours.idle],
        "grid": {"left": 8, "right": 16, "top": 36, "bottom": 12, "containLabel": True},
        "tooltip": {"trigger": "axis", ":formatter": _TOOLTIP, "axisPointer": {"type": "line"}},
        "xAxis": {
            "type": "time",
            "min": milliseconds(since),
            "max": milliseconds(now),
            "axisLabel": {"color": colours.text, "hideOverlap": True},
            "axisLine": {"lineStyle": {"color": colours.line}},
        },
        "yAxis": {
            "type": "value",
            "scale": True,
            "name": currencies[0] if len(currencies) == 1 else "",
            "nameTextStyle": {"color": colours.text, "align": "left"},
            "axisLabel": {"color": colours.text},
            "splitLine": {"lineStyle": {"color": colours.line}},
        },
        "series": [_series(currency, runs, len(steps) <= MAX_DOTS, colours, viewer) for currency in currencies],
    }
    if len(currencies) > 1:
        options["legend"] = {"data": currencies, "right": 8, "top": 4, "textStyle": {"color": colours.text}}
    if len(steps) >= MIN_ZOOM_STEPS:
        options["dataZoom"] = [{"type": "slider", "height": 22, "bottom": 6, "labelFormatter": ""}]
        options["grid"]["bottom"] = 40
    return options


def _series(currency: str, runs: Sequence[Run], has_dots: bool, colours: Palette, viewer: Viewer) -> Json:
    points: list[Json] = []
    for run in runs:
        if run.currency == currency:
            points += _points(run, colours, viewer, is_last=run is runs[-1])
    return {
        "name": currency,
        "type": "line",
        "step": "end",
        "data": points,
        "lineStyle": {"width": 2},
        "symbol": "circle",
        "symbolSize": 5 if has_dots else 0,
        "showAllSymbol": True,
        "connectNulls": False,
    }


def _points(run: Run, colours: Palette, viewer: Viewer, *, is_last: bool) -> Iterator[Json]:
    for step in run.steps:
        point: Json = {"value": [milliseconds(step.since), float(step.amount)], "label": _label(step, viewer)}
        if step.mark:
            point |= {"symbolSize": 10, "itemStyle": {"color": colours.warn}}
        yield point
    end = run.steps[-1]
    until = milliseconds(end.until)
    yield {"value": [until, float(end.amount)], "label": _label(end, viewer) if is_last else "", "symbolSize": 0}
    yield {"value": [until, None]}  # ends the line


def _label(step: Step, viewer: Viewer) -> str:
    version = f"version {step.version}{', rolled back to' if step.mark else ''}"
    return f"{step.amount} {step.currency}\nfrom {viewer.time(step.since.isoformat())}\n{version}"
