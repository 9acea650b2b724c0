"""The tables of differences: the largest ones, and all of them, a page of the API at a time."""

from collections.abc import Sequence

from nicegui import ui

from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import sku_path
from console.frame.visit import Visit
from console.widgets.parts import Text, empty, section, show_error
from console.widgets.prices import PRICE_FIELDS, change_cell, price_cell
from console.widgets.tables import Column, cell, table

DIFF_FIELDS = f"sku change before {{ {PRICE_FIELDS} }} after {{ {PRICE_FIELDS} }}"

PAGE = f"""
query ConsoleDifferences($name: ID!, $from: Int!, $to: Int!, $prefix: String, $first: Int!, $after: String) {{
  priceList(name: $name) {{
    diff(from: $from, to: $to, skuPrefix: $prefix, first: $first, after: $after) {{
      nodes {{ {DIFF_FIELDS} }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}"""

PAGE_SIZE = 100
"""Differences of a page."""

COLUMNS = (
    Column("sku", "Sku"),
    Column("before", "Before", numeric=True),
    Column("after", "After", numeric=True),
    Column("change", "Change"),
)


def difference_row(name: str, difference: Json) -> Json:
    """Return the row of a difference in a price list."""
    sku, before, after = difference["sku"], difference["before"], difference["after"]
    return {
        "id": sku,
        "sku": cell(sku, href=sku_path(name, sku)),
        "before": price_cell(before),
        "after": price_cell(after),
        "change": change_cell(before, after),
    }


def difference_table(label: str, name: str, differences: Sequence[Json]) -> ui.table:
    """Show differences of a price list."""
    rows = [difference_row(name, each) for each in differences]
    return table(label, COLUMNS, rows, page_size=PAGE_SIZE)


class DifferencePages:
    """All differences, of which one page is read and shown."""

    def __init__(self, visit: Visit, versions: Json, prefix: str) -> None:
        self._visit = visit
        self._versions = versions
        self._prefix = prefix
        self._cursors: list[str | None] = [None]
        """Where the pages up to this one begin."""
        self._next: str | None = None
        self._count: int | None = None

    async def build(self) -> None:
        """Show the first page. Raises `ApiError`."""
        note = f"of skus that begin with {self._prefix}" if self._prefix else ""
        with section("All differences", note=note):
            self._content = ui.element("div")
            with ui.element("div").classes("pager"):
                self._previous_button = ui.button("Previous", on_click=self._show_previous).props("outline no-caps")
                self._next_button = ui.button("Next", on_click=self._show_next).props("outline no-caps")
                self._position = Text("span", "").classes("note")
                self._position.props["aria-live"] = "polite"
        await self._show(self._cursors)

    async def _show_next(self) -> None:
        await self._turn([*self._cursors, self._next])

    async def _show_previous(self) -> None:
        await self._turn(self._cursors[:-1])

    async def _turn(self, cursors: list[str | None]) -> None:
        self._previous_button.disable()
        self._next_button.disable()
        try:
            await self._show(cursors)
        except ApiError as error:
            self._content.clear()
            with self._content:
                show_error(error)
            self._previous_button.set_enabled(len(self._cursors) > 1)

    async def _show(self, cursors: list[str | None]) -> None:
        found = await self._visit.api.query(
            PAGE, **self._versions, prefix=self._prefix, first=PAGE_SIZE, after=cursors[-1]
        )
        diff = found["priceList"]["diff"]
        self._cursors = cursors
        self._next = diff["pageInfo"]["endCursor"] if diff["pageInfo"]["hasNextPage"] else None
        self._content.clear()
        with self._content:
            if diff["nodes"]:
                difference_table("All differences", self._versions["name"], diff["nodes"])
            else:
                empty("Nothing differs.")
        self._first = PAGE_SIZE * (len(cursors) - 1) + 1
        self._last = self._first + len(diff["nodes"]) - 1
        self._show_position()

    def show_count(self, count: int) -> None:
        """Show how many differences there are on all pages, once that is known."""
        self._count = count
        self._show_position()

    def _show_position(self) -> None:
        self._previous_button.set_enabled(len(self._cursors) > 1)
        self._next_button.set_enabled(self._next is not None)
        is_one_page = len(self._cursors) == 1 and self._next is None
        self._previous_button.set_visibility(not is_one_page)
        self._next_button.set_visibility(not is_one_page)
        total = "" if self._count is None else f" of {self._count:,}"
        self._position.set_text(f"{self._first:,} to {self._last:,}{total}" if self._last >= self._first else "")
