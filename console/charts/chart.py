"""The base of all charts: their colours in light and dark, and what screen readers say of them."""

from datetime import datetime
from typing import NamedTuple

from nicegui import ui

from console.client import Json
from console.frame.viewer import Viewer


class Palette(NamedTuple):
    """The colours of charts."""

    text: str
    line: str
    accent: str
    good: str
    warn: str
    bad: str
    idle: str


LIGHT = Palette("#1b2430", "#d9dde3", "#0b5fb0", "#2e8b57", "#b7791f", "#c0392b", "#8a95a3")
DARK = Palette("#e6ebf1", "#2f3a48", "#7db9f5", "#5fbf86", "#e0ae55", "#f08a82", "#7c8999")


def palette(viewer: Viewer) -> Palette:
    """Return the colours for a viewer."""
    return DARK if viewer.is_dark else LIGHT


def milliseconds(instant: datetime) -> int:
    """Return an instant as an axis of time takes it: in milliseconds since 1970."""
    return round(instant.timestamp() * 1000)


def chart(viewer: Viewer, label: str, options: Json, *, height: int = 300) -> ui.echart:
    """Show a chart of ECharts, `height` pixels high. `label` says in one sentence what it shows.

    Tooltips are drawn, never read as HTML: labels and skus come from others.
    """
    colours = palette(viewer)
    tooltip = {"renderMode": "richText", "confine": True, **options.get("tooltip", {})}
    base = {
        "backgroundColor": "transparent",
        "textStyle": {"color": colours.text, "fontFamily": "Roboto, sans-serif"},
        "animation": False,
    }
    shown = ui.echart({**base, **options, "tooltip": tooltip}, renderer="svg").classes("chart")
    shown.style(f"height: {height}px")
    shown.props["role"] = "img"
    shown.props["aria-label"] = label
    return shown
