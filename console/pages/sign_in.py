"""Signing in with a token, which stays in the memory of the console while the session lasts."""

from nicegui import ui

from console.frame.frame import frame
from console.frame.viewer import Viewer
from console.widgets.parts import Text, notice


def sign_in_page(viewer: Viewer, endpoint: str, to: str, problem: str | None) -> None:
    """Build the page. `to` is where to go afterwards, `problem` why the last attempt failed."""
    with frame(viewer, "Sign in"):
        Text("p", f"The console acts in your name at {endpoint}.")
        if problem:
            notice(problem, "bad")
        with ui.element("form").props('method="post" action="/sign-in"').classes("sign-in"):
            field = ui.input("API key or token").props("outlined type=password autofocus").classes("wide")
            field.props["name"] = "token"
            field.props["autocomplete"] = "off"
            ui.element("input").props('type="hidden" name="to"').props["value"] = to
            ui.button("Sign in").props("unelevated no-caps type=submit")
        Text(
            "p", "The token is kept in memory for this browser session alone. It is neither stored nor logged."
        ).classes("note")
