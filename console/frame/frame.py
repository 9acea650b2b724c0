"""The frame around every page: a header with the ways to go; and the one way in which a page is built."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from nicegui import ui

from console.client.errors import ApiError, Unauthenticated
from console.frame.viewer import FIRST_PAGE, NOTE_VIEWER, THEME_COOKIE, Viewer, is_first_request
from console.frame.visit import Visit
from console.sessions.sessions import Sessions
from console.widgets.parts import Text, link, show_error

Build = Callable[..., Awaitable[None]]
"""Builds a page from its `Visit`, and the parameters of its path and query."""

SIGN_IN = "/sign-in"

BUILD_TIMEOUT_SECONDS = 60.0
"""Longest time to build a page. A request of it takes half of that at most."""

STYLE = f"<style>{Path(__file__).parents[1].joinpath('static', 'style.css').read_text(encoding='utf-8')}</style>"

_WAYS = (("/", "Price lists"), ("/review", "Review"), ("/releases", "Releases"), ("/live", "Live"))
_WAYS_OF_READERS = (("/", "Price lists"), ("/live", "Live"))

_TOGGLE_THEME = f"""() => {{
  const theme = document.body.classList.contains("body--dark") ? "light" : "dark";
  document.cookie = `{THEME_COOKIE}=chosen-${{theme}}; path=/; max-age=31536000; samesite=lax`;
  location.reload();
}}"""


def register_page(path: str, title: str, build: Build, sessions: Sessions) -> None:
    """Serve a page at `path`, to those who have signed in; others are led to signing in, and then back.

    `title` may name parameters of the path, as in `{name}`.
    """

    async def page(request: Request, **parameters: object) -> Response | None:
        if is_first_request(request):
            return HTMLResponse(FIRST_PAGE)
        session = sessions.find(request.cookies.get(session_cookie(request)))
        if session is None:
            return lead_to_sign_in(request)
        viewer = Viewer.of(request)
        try:
            visit = Visit(session, await session.caller(), viewer)
        except Unauthenticated:
            return lead_to_sign_in(request)
        except ApiError as error:
            with frame(viewer, title.format(**parameters)):
                show_error(error)
            return None
        with frame(viewer, title.format(**parameters).rstrip(": "), visit, request.url.path):
            try:
                await build(visit, **parameters)
            except ApiError as error:
                show_error(error)
        return None

    own = list(inspect.signature(build).parameters.values())[1:]
    request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)
    page.__signature__ = inspect.Signature([request, *own])  # type: ignore[attr-defined]
    ui.page(path, response_timeout=BUILD_TIMEOUT_SECONDS)(page)


def session_cookie(request: Request) -> str:
    """Return the name of the cookie with the id of the session. Consoles on several ports of a host share cookies."""
    port = request.url.port
    return f"pricebook-console-{port}" if port else "pricebook-console"


def lead_to_sign_in(request: Request) -> Response:
    """Return the redirect to signing in, which leads back to the page that was asked for."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{SIGN_IN}?to={quote(target, safe='')}", status_code=303)


def frame(viewer: Viewer, title: str, visit: Visit | None = None, path: str = "") -> ui.element:
    """Build the header, and return the element in which to build the page."""
    ui.page_title(f"{title} · Pricebook")
    ui.add_head_html(NOTE_VIEWER + STYLE)
    ui.dark_mode(viewer.is_dark)
    with ui.header(elevated=False).classes("top"):
        link("Skip to the content", "#content").classes("skip")
        link("Pricebook", "/").classes("brand")
        if visit:
            with ui.element("nav") as ways:
                ways.props["aria-label"] = "Pages"
                for way, name in _WAYS if visit.works_anywhere() else _WAYS_OF_READERS:
                    element = link(name, way)
                    if path == way:
                        element.props["aria-current"] = "page"
        ui.space()
        ui.button(icon="light_mode" if viewer.is_dark else "dark_mode").props(
            'flat round dense aria-label="Switch between light and dark"'
        ).on("click", js_handler=_TOGGLE_THEME)
        if visit:
            Text("span", visit.caller.name).classes("who")
            with ui.element("form").props('method="post" action="/sign-out"'):
                ui.button("Sign out").props("flat dense no-caps type=submit")
    content = ui.element("div").classes("page").props('id="content"')
    with content:
        Text("h1", title)
    return content
