"""The held batches: first those that somebody has to decide about, then those that wait for an instant or a release."""

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Query
from nicegui import ui

from console.actions.review_batch import approve_dialog, reject_dialog
from console.client import Json
from console.frame.paths import batch_path, list_path
from console.frame.visit import Visit
from console.widgets.batches import (
    BATCH_FIELDS,
    compare_href,
    compared_version,
    is_outdated,
    needs_decision,
    sent_text,
    show_findings,
    show_waits,
    shown_findings,
)
from console.widgets.dialogs import DialogHost
from console.widgets.parts import Text, empty, link, notice
from console.widgets.refresher import Refresher
from console.widgets.versions import summary_text, version_text

HELD = f"""
query ConsoleHeld($list: ID, $first: Int!, $after: String) {{
  batches(priceList: $list, state: HELD, first: $first, after: $after) {{
    nodes {{ {BATCH_FIELDS} submittedBy createdAt }}
    totalCount
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""

LISTS = """
query ConsoleHeldLists {
  batches(state: HELD, first: 1000) { nodes { priceList } }
}"""

READ_SIZE = 250
"""Batches of one request."""

MAX_BATCHES = 1_000
"""Held batches that are read, the newest: those that need a decision are found among them."""

PAGE_SIZE = 20

REFRESH_SECONDS = 10.0
"""How often the batches are read again; a page on which nothing has changed stays as it is."""


async def review_page(
    visit: Visit, price_list: Annotated[str, Query(alias="list")] = "", page: Annotated[str, Query()] = "1"
) -> None:
    """Build the page."""
    await Review(visit, price_list, int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1).build()


class Held(NamedTuple):
    """Held batches, newest first, and how many there are in all."""

    batches: list[Json]
    total: int


class Review:
    """The page: it is built again when the held batches have changed, but not below an open dialog."""

    def __init__(self, visit: Visit, price_list: str, page: int) -> None:
        self._visit = visit
        self._list = price_list
        self._page = page
        self._held = Held([], 0)

    async def build(self) -> None:
        """Show the batches, and keep them up to date."""
        self._held = await self._read()
        lists = await self._visit.api.query(LISTS)
        self._show_filter(sorted({each["priceList"] for each in lists["batches"]["nodes"]}))
        self._dialogs = DialogHost()
        refresher = Refresher(self._refresh, is_paused=lambda: self._dialogs.is_open)
        self._content = ui.element("div")
        self._show()
        refresher.follow(self._visit)
        refresher.repeat(REFRESH_SECONDS)

    async def _refresh(self) -> None:
        held = await self._read()
        if held != self._held and not self._dialogs.is_open:
            self._held = held
            self._show()

    async def _read(self) -> Held:
        batches: list[Json] = []
        after: str | None = None
        while True:
            data = await self._visit.api.query(HELD, list=self._list or None, first=READ_SIZE, after=after)
            batches += data["batches"]["nodes"]
            after = data["batches"]["pageInfo"]["endCursor"]
            if not data["batches"]["pageInfo"]["hasNextPage"] or len(batches) >= MAX_BATCHES:
                return Held(batches, data["batches"]["totalCount"])

    def _show_filter(self, lists: Sequence[str]) -> None:
        options = {"": "All price lists", **{name: name for name in lists}}
        if self._list:
            options.setdefault(self._list, self._list)
        if len(options) <= 1:
            return
        select = ui.select(
            options,
            value=self._list,
            label="Price list",
            with_input=True,
            on_change=lambda event: ui.navigate.to(page_path(event.value or "", 1)),
        )
        select.props("outlined dense").classes("search filter")

    def _show(self) -> None:
        self._content.clear()
        with self._content:
            if not self._held.batches:
                empty(f"Nothing waits for a review{f' in {self._list}' if self._list else ''}.")
                return
            if self._held.total > len(self._held.batches):
                notice(f"The newest {len(self._held.batches):,} of {self._held.total:,} held batches are shown.")
            decisions, others = in_order(self._held.batches)
            shown = page_of([*decisions, *others], self._page)
            for title, batches in (("Need a decision", decisions), ("Scheduled, or in a release", others)):
                if mine := [each for each in shown if each in batches]:
                    with ui.element("div").classes("section-head"):
                        Text("h2", title)
                        Text("span", f"{len(batches):,}").classes("note")
                    for each in mine:
                        self._show_batch(each)
            self._show_pages(len(decisions) + len(others))

    def _show_batch(self, batch: Json) -> None:
        name, version = batch["priceList"], batch["version"]
        with ui.element("article").classes("section held") as element:
            element.props["aria-label"] = f"Batch of {name}, version {version}"
            with ui.element("div").classes("section-head"):
                with ui.element("h3"):
                    link(name, list_path(name))
                    link(f"version {version}", batch_path(batch["id"]))
                show_waits(batch)
            if batch["label"]:
                Text("p", batch["label"])
            Text("p", sent_text(self._visit.viewer, batch)).classes("note")
            if findings := shown_findings(batch):
                show_findings(findings)
            Text("p", changes_text(batch))
            with ui.element("div").classes("bar"):
                self._show_ways(batch)

    def _show_ways(self, batch: Json) -> None:
        with ui.element("div").classes("links"):
            link("Batch", batch_path(batch["id"]))
            if href := compare_href(batch):
                link(f"Compare with version {compared_version(batch)}", href)
        if self._visit.may_operate(batch["priceList"]):
            self._dialogs.button("Approve", lambda: approve_dialog(self._visit, batch), primary=True)
            self._dialogs.button("Reject", lambda: reject_dialog(self._visit, batch))

    def _show_pages(self, count: int) -> None:
        pages = number_of_pages(count)
        if pages == 1:
            return
        with ui.element("nav").classes("bar") as element:
            element.props["aria-label"] = "Pages of batches"
            page = min(self._page, pages)
            if page > 1:
                link("Previous", page_path(self._list, page - 1))
            Text("span", f"Page {page} of {pages}").classes("note")
            if page < pages:
                link("Next", page_path(self._list, page + 1))


def in_order(batches: Sequence[Json]) -> tuple[list[Json], list[Json]]:
    """Return the batches that need a decision, and the others, each as they were ordered."""
    return [each for each in batches if needs_decision(each)], [each for each in batches if not needs_decision(each)]


def number_of_pages(count: int) -> int:
    """Return the number of pages for a number of batches: at least 1."""
    return max(1, -(-count // PAGE_SIZE))


def page_of(batches: Sequence[Json], page: int) -> Sequence[Json]:
    """Return a page of batches, counted from 1; the nearest one if there is no such page."""
    start = (min(max(page, 1), number_of_pages(len(batches))) - 1) * PAGE_SIZE
    return batches[start : start + PAGE_SIZE]


def page_path(price_list: str, page: int) -> str:
    """Return the path of a page of held batches, of one list or of all if it is empty."""
    query = dict(_parameters(price_list, page))
    return f"/review?{urlencode(query)}" if query else "/review"


def changes_text(batch: Json) -> str:
    """Return what a held batch changes, and in which version; it may have been counted with an earlier one."""
    counted, base = summary_text(batch["summary"]), batch["baseVersion"]
    if is_outdated(batch):
        current = version_text(batch["rebased"]["baseVersion"])
        return f"{counted}, compared with {version_text(base)}; {current} is current by now"
    return f"{counted}, compared with version {base}" if base is not None else f"{counted}, as the first version"


def _parameters(price_list: str, page: int) -> Iterator[tuple[str, object]]:
    if price_list:
        yield "list", price_list
    if page > 1:
        yield "page", page
