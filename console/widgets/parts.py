"""Headings, sections, facts, times, badges and notices."""

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from console.client.errors import ApiError
from console.frame.viewer import Viewer, age, utc


class Text(TextElement):
    """A text in an element of its own. It is never read as HTML."""

    def __init__(self, tag: str, text: str) -> None:
        super().__init__(tag=tag, text=text)


def link(text: str, href: str) -> Text:
    """Show a link within the console. `href` is a path whose parts are quoted."""
    element = Text("a", text)
    element.props["href"] = href
    return element


@contextmanager
def section(title: str, *, note: str = "") -> Iterator[ui.element]:
    """Show a section with a heading; what is built within stands in it."""
    with ui.element("section").classes("section") as element:
        element.props["aria-label"] = title
        with ui.element("div").classes("section-head"):
            Text("h2", title)
            Text("span", note).classes("note")
        yield element


@contextmanager
def facts() -> Iterator[ui.element]:
    """Show what is built within, by `fact`, as a row of names and values."""
    with ui.element("dl").classes("facts") as element:
        yield element


def fact(name: str, value: str, *, title: str | None = None, tone: str = "") -> Text:
    """Show a name and its value; return the element of the value."""
    with ui.element("div"):
        Text("dt", name)
        element = Text("dd", value).classes(tone)
    if title:
        element.props["title"] = title
    return element


def time_fact(viewer: Viewer, name: str, instant: str | None, *, missing: str = "never") -> None:
    """Show an instant as a fact: its age, and the instant in the viewer's zone; UTC on hover."""
    if instant is None:
        fact(name, missing, tone="muted")
        return
    with ui.element("div"):
        Text("dt", name)
        with ui.element("dd") as value:
            Text("span", age(instant))
            Text("span", viewer.time(instant)).classes("note")
        value.props["title"] = utc(instant)


def time(viewer: Viewer, instant: str) -> Text:
    """Show an instant in the viewer's zone and its age; UTC on hover."""
    element = Text("time", f"{viewer.time(instant)} · {age(instant)}")
    element.props["title"] = utc(instant)
    element.props["datetime"] = instant
    return element


def badge(text: str, tone: str = "muted") -> Text:
    """Show a short state: `good`, `warn`, `bad` or `muted`."""
    return Text("span", text).classes(f"badge {tone}")


def empty(text: str) -> None:
    """Show that there is nothing, and what would put something there."""
    Text("p", text).classes("empty")


def notice(text: str, tone: str = "warn") -> Text:
    """Show a sentence that stands out, in a tone: `good`, `warn` or `bad`."""
    element = Text("p", text).classes(f"notice {tone}")
    element.props["role"] = "status"
    return element


def show_error(error: ApiError) -> None:
    """Show why the API did not do what was asked: the code and the message of each problem."""
    with ui.element("div").classes("notice bad") as element:
        element.props["role"] = "alert"
        for problem in dict.fromkeys(error.problems):  # several fields may have the same
            with ui.element("p"):
                Text("code", problem.code)
                Text("span", problem.message)
