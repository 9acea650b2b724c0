"""Where to choose what is compared: two versions, and a prefix of skus. Each choice leads to a page of its own."""

from collections.abc import Sequence

from nicegui import ui

from console.client import Json
from console.frame.paths import compare_path, list_path
from console.frame.viewer import Viewer
from console.widgets.parts import link
from console.widgets.prices import shortened

MAX_LABEL_CHARACTERS = 40

MAX_PREFIX_CHARACTERS = 256
"""The API refuses longer prefixes."""

_COPY_LINK = """() => {
  if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(() => emit());
  else prompt("Copy this link", location.href);
}"""
"""Browsers have a clipboard only for pages of this machine, or with TLS."""


def newest_pair(snapshots: Sequence[Json], current: int | None) -> tuple[int, int] | None:
    """Return the version before the current one, and the current one; None if there are not both.

    If the current version is the oldest, it is compared with the one after it.
    """
    versions = sorted(each["version"] for each in snapshots if each["state"] == "PUBLISHED")
    if current is None:
        return None
    if before := [version for version in versions if version < current]:
        return before[-1], current
    later = [version for version in versions if version > current]
    return (current, later[0]) if later else None


def parse_version(text: str) -> int | None:
    """Return the number of a version; None if the text is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0 else None


def version_name(viewer: Viewer, snapshot: Json, current: int | None) -> str:
    """Return how a version is offered: its number, its label, and when it was published."""
    parts = [str(snapshot["version"])]
    if snapshot["label"]:
        parts.append(shortened(snapshot["label"], MAX_LABEL_CHARACTERS))
    parts.append(viewer.time(snapshot["publishedAt"]) or "never published")
    if snapshot["version"] == current:
        parts.append("current")
    return " · ".join(parts)


class VersionBar:
    """The fields to choose from, and the ways to swap the versions and to send the comparison to someone."""

    def __init__(self, viewer: Viewer, price_list: Json, before: int | None, after: int | None, prefix: str) -> None:
        self._name: str = price_list["name"]
        self._first = before
        self._second = after
        self._prefix = prefix
        self._names = {
            each["version"]: version_name(viewer, each, price_list["currentVersion"])
            for each in price_list["snapshots"]["nodes"]
        }

    def build(self) -> None:
        """Show the fields."""
        with ui.element("div").classes("versions"):
            self._before = self._field("From version", self._first)
            swap = ui.button(icon="swap_horiz", on_click=self._swap).props("flat round dense")
            swap.props["aria-label"] = "Swap the versions"
            swap.props["title"] = "Swap the versions"
            self._after = self._field("To version", self._second)
        with ui.element("div").classes("bar"):
            self._search = ui.input("Skus that begin with", value=self._prefix)
            self._search.props("outlined dense clearable type=search").classes("search")
            self._search.props["maxlength"] = MAX_PREFIX_CHARACTERS
            self._search.on("keydown.enter", self._go)
            self._search.on("clear", self._go)
            ui.button("Search", on_click=self._go).props("outline no-caps")
            copy = ui.button("Copy link").props("flat no-caps")
            copy.on("click", lambda: ui.notify("Copied.", timeout=1500), js_handler=_COPY_LINK)
            link(f"All of {self._name}", list_path(self._name))

    def _field(self, label: str, value: int | None) -> ui.select:
        names = dict(self._names)
        if value is not None:
            names.setdefault(value, str(value))
        field = ui.select(
            names,
            label=label,
            value=value,
            on_change=self._go,
            new_value_mode="add-unique",
            key_generator=parse_version,
        )
        return field.props("outlined dense options-dense")

    def _swap(self) -> None:
        self._open(self._after.value, self._before.value)

    def _go(self) -> None:
        self._open(self._before.value, self._after.value)

    def _open(self, before: int | None, after: int | None) -> None:
        if before is None or after is None:
            ui.notify("Choose two versions, or type their numbers.", type="warning")
            return
        ui.navigate.to(compare_path(self._name, before, after, self._search.value or ""))
