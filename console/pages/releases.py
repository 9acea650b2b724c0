"""The releases, newest first, and a form that creates one."""

import secrets
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query
from nicegui import ui

from console.client import Json
from console.client.errors import ApiError, Unreachable
from console.frame.paths import release_path
from console.frame.viewer import Viewer
from console.frame.visit import Visit
from console.widgets.dialogs import InstantField
from console.widgets.parts import Text, empty, link, section, show_error
from console.widgets.releases import STATES
from console.widgets.tables import Column, cell, table, time_cell

RELEASES = """
query ConsoleReleases($state: ReleaseState, $first: Int!, $after: String) {
  releases(state: $state, first: $first, after: $after) {
    nodes { id name state publishAt publishedAt createdBy createdAt items { priceList { name } } }
    totalCount
    pageInfo { hasNextPage endCursor }
  }
}"""

CREATE = """
mutation ConsoleCreateRelease($input: CreateReleaseInput!) {
  createRelease(input: $input) { release { id } userErrors { code message } }
}"""

PAGE_SIZE = 50
MAX_NAME_CHARACTERS = 255
SHOWN_LISTS = 4
"""Names of price lists in a row; the others are counted."""


async def releases_page(visit: Visit, state: Annotated[str, Query()] = "", after: Annotated[str, Query()] = "") -> None:
    """Build the page."""
    state = state if state in STATES else ""
    found = await visit.api.query(RELEASES, state=state or None, first=PAGE_SIZE, after=after or None)
    page = found["releases"]
    _show_states(state)
    if page["nodes"]:
        table("Releases", _COLUMNS, [release_row(visit.viewer, each) for each in page["nodes"]])
        _show_pages(state, after, page)
    else:
        empty(f"There are no {STATES[state][0]} releases." if state else "There are no releases yet.")
    if visit.caller.works_anywhere():
        CreationForm(visit).build()


class CreationForm:
    """A form that creates an empty release, with or without an instant."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._key = _new_key()

    def build(self) -> None:
        """Show the form."""
        with section("Create a release", note="batches are sent with its ID, and published with it"):
            with ui.element("div").classes("create"):
                self._name = ui.input("Name", on_change=self._check).props("outlined dense").classes("wide")
                self._name.props["maxlength"] = MAX_NAME_CHARACTERS
                self._name.props["autocomplete"] = "off"
                self._at = InstantField("Publish at, or empty", self._visit.viewer.zone)
                self._button = ui.button("Create", on_click=self._create).props("unelevated no-caps")
            self._errors = ui.element("div")
        self._name.value = ""
        self._check()

    def _check(self) -> None:
        self._button.set_enabled(bool((self._name.value or "").strip()))

    async def _create(self) -> None:
        self._errors.clear()
        self._button.set_enabled(False)
        try:
            fields = {"name": self._name.value.strip(), "idempotencyKey": self._key}
            if not self._at.is_empty:
                fields["publishAt"] = self._at.read()
            payload = await self._visit.api.mutate(CREATE, **fields)
        except ApiError as error:
            if not isinstance(error, Unreachable):  # otherwise it may have been created: the same key finds it
                self._key = _new_key()
            with self._errors:
                show_error(error)
            self._check()
            return
        ui.navigate.to(release_path(payload["release"]["id"]))


def release_row(viewer: Viewer, release: Json) -> Json:
    """Return the row of a release."""
    text, tone = STATES[release["state"]]
    names = [each["priceList"]["name"] for each in release["items"]]
    due = release["publishAt"] if release["state"] == "SCHEDULED" else None
    return {
        "id": release["id"],
        "name": cell(release["name"], href=release_path(release["id"])),
        "state": cell(text, tone=tone),
        "lists": cell(lists_text(names), title=", ".join(names) if len(names) > SHOWN_LISTS else None),
        "due": time_cell(viewer, due),
        "published": time_cell(viewer, release["publishedAt"]),
        "created": time_cell(viewer, release["createdAt"]) | {"note": f"by {release['createdBy']}"},
    }


def lists_text(names: list[str]) -> str:
    """Return the names of the lists of a release: the first few, and how many more there are."""
    if not names:
        return "none yet"
    more = f" and {len(names) - SHOWN_LISTS} more" if len(names) > SHOWN_LISTS else ""
    return ", ".join(names[:SHOWN_LISTS]) + more


def page_path(state: str, after: str) -> str:
    """Return the path of a page of releases."""
    query = {name: value for name, value in (("state", state), ("after", after)) if value}
    return f"/releases?{urlencode(query)}" if query else "/releases"


def _new_key() -> str:
    return f"console-{secrets.token_hex(16)}"


def _show_states(state: str) -> None:
    with ui.element("nav").classes("bar ways") as element:
        element.props["aria-label"] = "States of releases"
        for each, text in (("", "All"), *((each, text.capitalize()) for each, (text, _) in STATES.items())):
            way = link(text, page_path(each, ""))
            if each == state:
                way.props["aria-current"] = "page"


def _show_pages(state: str, after: str, page: Json) -> None:
    with ui.element("div").classes("pager"):
        Text("span", f"{page['totalCount']:,} in all").classes("note")
        if after:
            link("Newest", page_path(state, ""))
        if page["pageInfo"]["hasNextPage"]:
            link("Older", page_path(state, page["pageInfo"]["endCursor"]))


_COLUMNS = (
    Column("name", "Release"),
    Column("state", "State"),
    Column("lists", "Price lists"),
    Column("due", "Due"),
    Column("published", "Published"),
    Column("created", "Created"),
)
