"""The track of a pointer: which version was current when, and what happened to the list meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from textwrap import wrap
from typing import NamedTuple

from nicegui import ui

from console.charts.chart import chart, milliseconds, palette
from console.client import Json
from console.frame.viewer import Viewer, parse_instant
from console.widgets.events import event_text

TRACK_EVENT = "kind at by reason fromVersion toVersion version batch { label }"
"""The fields of an `Event` that the track needs."""

TOOLTIP_COLUMNS, TOOLTIP_LINES = 48, 4
"""A reason may have 1,000 characters: more of it is in the audit log."""

CURRENT = "Current"
"""The name of the line of steps in the legend."""


class Kind(NamedTuple):
    """How events of a kind are drawn: their name in the legend, symbol, and colour in the palette."""

    name: str
    symbol: str
    colour: str


_DOWN = "path://M0 0h20l-10 17z"
_PUSHPIN = "path://M4 0h12v9l4 5h-9v8h-2v-8h-9l4-5z"
_RING = "path://M10 0a10 10 0 1 0 .01 0zM10 4a6 6 0 1 1-.01 0z"
_CROSS = "path://M2 0L10 8L18 0L20 2L12 10L20 18L18 20L10 12L2 20L0 18L8 10L0 2Z"

KINDS = {
    "PUBLISHED": Kind("Published", "circle", "accent"),
    "APPROVED": Kind("Approved", "roundRect", "good"),
    "ROLLED_BACK": Kind("Rolled back", _DOWN, "bad"),
    "PINNED": Kind("Pinned", _PUSHPIN, "warn"),
    "UNPINNED": Kind("Unpinned", _RING, "warn"),
    "HELD": Kind("Held", "rect", "warn"),
    "REJECTED": Kind("Rejected", "diamond", "bad"),
    "DELETED": Kind("Deleted", _CROSS, "idle"),
}
"""The events that are drawn, in the order of the legend."""


class Mark(NamedTuple):
    """A point of the picture: an event, at a version."""

    at: int
    version: int
    event: Json


@dataclass(slots=True)
class Track:
    """The content of the picture. Instants are in milliseconds since 1970."""

    steps: list[tuple[int, int | None]] = field(default_factory=list)
    """From when a version was current, oldest first; None from when there was none. The last one is now."""

    since: str | None = None
    """The instant of the last step; None if it is older than the events."""

    marks: dict[str, list[Mark]] = field(default_factory=dict)
    """The events that are drawn, by kind, oldest first."""


def track_of(events: Sequence[Json], now: datetime) -> Track:
    """Return the track of events, which come newest first. It begins with the oldest of them."""
    track = Track()
    level: int | None = None
    for event in reversed(events):
        at, before, after = milliseconds(parse_instant(event["at"])), event["fromVersion"], event["toVersion"]
        if not track.steps and before is not None:
            level = before
            track.steps.append((at, before))
        if after != level:
            if after is None:
                track.steps.append((at, level))  # the line reaches the instant at which it ends
            track.steps.append((at, after))
            level, track.since = after, event["at"]
        version = event["version"] or after or before
        if event["kind"] in KINDS and version is not None:
            track.marks.setdefault(event["kind"], []).append(Mark(at, version, event))
    if level is not None:
        track.steps.append((max(milliseconds(now), track.steps[-1][0]), level))
    return track


def track_options(viewer: Viewer, track: Track) -> Json:
    """Return the picture of a track. Its axis shows the time of the browser."""
    colours = palette(viewer)._asdict()
    text, line = {"color": colours["text"]}, {"lineStyle": {"color": colours["line"]}}
    current = {
        "name": CURRENT,
        "type": "line",
        "step": "end",
        "symbol": "none",
        "silent": True,
        "data": [list(step) for step in track.steps],
        "lineStyle": {"color": colours["accent"], "width": 2},
        "itemStyle": {"color": colours["accent"]},
    }
    marks = [_series(viewer, KINDS[kind], track.marks[kind], colours) for kind in KINDS if kind in track.marks]
    return {
        "grid": {"left": 8, "right": 18, "top": 14, "bottom": 84, "containLabel": True},
        "legend": _legend([each["name"] for each in marks], text),
        "tooltip": {"trigger": "item", ":formatter": "each => each.data.tip"},
        "xAxis": {"type": "time", "axisLabel": {**text, "hideOverlap": True}, "axisLine": line},
        "yAxis": {"type": "value", "scale": True, "minInterval": 1, "axisLabel": text, "splitLine": line},
        "dataZoom": [{"type": "slider", "height": 18, "bottom": 8, "showDetail": False, "brushSelect": False}],
        "series": [current, *marks],
    }


def track_chart(viewer: Viewer, track: Track) -> ui.echart:
    """Show the picture of a track."""
    return chart(
        viewer, "Which version was current when. The audit log below has the same.", track_options(viewer, track)
    )


def _legend(kinds: list[str], text: Json) -> Json:
    return {
        "data": [{"name": CURRENT, "icon": "path://M0 0h20v3h-20z"}, *kinds],
        "bottom": 36,
        "itemWidth": 14,
        "itemHeight": 10,
        "textStyle": text,
    }


def _series(viewer: Viewer, kind: Kind, marks: list[Mark], colours: dict[str, str]) -> Json:
    return {
        "name": kind.name,
        "type": "scatter",
        "symbol": kind.symbol,
        "symbolSize": 11,
        "itemStyle": {"color": colours[kind.colour]},
        "data": [{"value": [mark.at, mark.version], "tip": _tip(viewer, mark.event)} for mark in marks],
    }


def _tip(viewer: Viewer, event: Json) -> str:
    lines = [event_text(event), f"{viewer.time(event['at'])}, by {event['by']}"]
    if event["batch"] and event["batch"]["label"]:
        lines.insert(1, event["batch"]["label"])
    if event["reason"]:
        lines += wrap(event["reason"], TOOLTIP_COLUMNS, max_lines=TOOLTIP_LINES, placeholder=" …")
    return "\n".join(lines).replace("{", "{\u200b")  # ECharts would read `{name|text}` as a text with a style
