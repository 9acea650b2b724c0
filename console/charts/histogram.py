"""A histogram of the changes between two versions: how many amounts fell and rose by how many percent."""

from collections.abc import Sequence

from nicegui import ui

from console.charts.chart import Palette, chart, palette
from console.client import Json
from console.frame.viewer import Viewer

HEIGHT = 260


def histogram(viewer: Viewer, buckets: Sequence[Json]) -> ui.echart:
    """Show the histogram of a distribution of the API: buckets with `from`, `to` and `count`."""
    falls, rises = totals(buckets)
    label = f"Histogram of changes in percent: {falls:,} amounts fell and {rises:,} rose."
    return chart(viewer, label, histogram_options(buckets, palette(viewer)), height=HEIGHT)


def totals(buckets: Sequence[Json]) -> tuple[int, int]:
    """Return how many amounts fell and how many rose."""
    rises = sum(each["count"] for each in buckets if _rises(each))
    return sum(each["count"] for each in buckets) - rises, rises


def bucket_name(bucket: Json) -> str:
    """Return the bounds of a bucket: `-25 to -10`, `below -50`, `above 100`."""
    if bucket["from"] is None:
        return f"below {bucket['to']}"
    if bucket["to"] is None:
        return f"above {bucket['from']}"
    return f"{bucket['from']} to {bucket['to']}"


def histogram_options(buckets: Sequence[Json], colours: Palette) -> Json:
    """Return the options of the chart.

    Each bar has its count above it and at least three pixels, so that one price is seen beside thousands.
    """
    names = [bucket_name(each) for each in buckets]
    return {
        "grid": {"left": 8, "right": 8, "top": 28, "bottom": 8, "containLabel": True},
        "tooltip": {
            "trigger": "item",
            ":formatter": "bar => `${bar.name} %: ${bar.value.toLocaleString('en')} amounts`",
        },
        "xAxis": {
            "type": "category",
            "data": names,
            "axisLabel": {"color": colours.text, "interval": 0, "fontSize": 11},
            "axisTick": {"show": False},
            "axisLine": {"lineStyle": {"color": colours.line}},
        },
        "yAxis": {
            "type": "value",
            "minInterval": 1,
            "axisLabel": {"color": colours.text},
            "splitLine": {"lineStyle": {"color": colours.line}},
        },
        "series": [
            {
                "type": "bar",
                "barCategoryGap": "12%",
                "barMinHeight": 3,
                "label": {
                    "show": True,
                    "position": "top",
                    "color": colours.text,
                    "fontSize": 11,
                    ":formatter": "bar => bar.value.toLocaleString('en')",
                },
                "labelLayout": {"hideOverlap": True},
                "data": [_bar(each, name, colours) for each, name in zip(buckets, names, strict=True)],
            }
        ],
        "media": [{"query": {"maxWidth": 900}, "option": {"xAxis": {"axisLabel": {"rotate": 60}}}}],
    }


def _bar(bucket: Json, name: str, colours: Palette) -> Json | None:
    if not bucket["count"]:
        return None
    colour = colours.accent if _rises(bucket) else colours.warn
    return {"value": bucket["count"], "name": name, "itemStyle": {"color": colour}}


def _rises(bucket: Json) -> bool:
    return bucket["from"] is not None and not str(bucket["from"]).startswith("-")
