"""A table that reads one page of its rows at a time, by cursor."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from nicegui import ui

from console.client import Json
from console.client.errors import ApiError
from console.widgets.parts import Text, show_error
from console.widgets.tables import Column, table

MAX_PAGES = 1_000
"""Pages that one can go back."""


class Page(NamedTuple):
    """Rows of a table, the cursor of the next page if there is one, and the number of all rows if it is known."""

    rows: list[Json]
    next: str | None
    total: int | None = None


ReadPage = Callable[[int, str | None], Awaitable[Page]]
"""Returns a number of rows after a cursor. Raises `ApiError`."""


def next_cursor(connection: Json) -> str | None:
    """Return the cursor of the page after that of a connection; None if it is the last one."""
    cursor: str | None = connection["pageInfo"]["endCursor"]
    return cursor if connection["pageInfo"]["hasNextPage"] else None


class PagedTable:
    """A table with buttons to the pages before and after. Only one page is held.

    Without rows it shows `nothing`, which says what would put some there.
    """

    def __init__(
        self, label: str, columns: Sequence[Column], read: ReadPage, *, key: str, page_size: int, nothing: str
    ) -> None:
        self._read = read
        self._page_size = page_size
        self._cursors: list[str | None] = [None]  # of the pages up to the one that is shown
        self._page = Page([], None)
        self._is_turning = False
        self._errors = ui.element("div")
        self.table = table(label, columns, [], key=key).classes("paged")
        self._nothing = Text("p", nothing).classes("empty")
        with ui.element("div").classes("pager"):
            self._back = ui.button("Previous", on_click=self._show_previous).props("flat dense no-caps")
            self._forward = ui.button("Next", on_click=self._show_next).props("flat dense no-caps")
            self._position = Text("span", "").classes("note")
            self._position.props["role"] = "status"

    async def refresh(self) -> None:
        """Read the page that is shown again. Raises `ApiError`."""
        await self._show(self._cursors)

    def show_total(self, total: int) -> None:
        """Show the number of all rows, if pages do not have it."""
        self._page = self._page._replace(total=total)
        self._show_position()

    async def _show_next(self) -> None:
        if self._page.next is not None:
            await self._turn([*self._cursors, self._page.next])

    async def _show_previous(self) -> None:
        await self._turn(self._cursors[:-1] or [None])

    async def _turn(self, cursors: list[str | None]) -> None:
        if self._is_turning:
            return
        self._is_turning = True
        self._errors.clear()
        try:
            await self._show(cursors)
        except ApiError as error:
            with self._errors:
                show_error(error)
        finally:
            self._is_turning = False

    async def _show(self, cursors: list[str | None]) -> None:
        shown = self._cursors
        page = await self._read(self._page_size, cursors[-1])
        if self._cursors is not shown:  # another page was shown meanwhile
            return
        self._cursors = cursors
        self._page = page if page.total is not None else page._replace(total=self._page.total)
        self.table.rows = page.rows
        self.table.set_visibility(bool(page.rows))
        self._nothing.set_visibility(not page.rows)
        self._show_position()

    def _show_position(self) -> None:
        before, shown = (len(self._cursors) - 1) * self._page_size, len(self._page.rows)
        total = "" if self._page.total is None else f" of {self._page.total:,}"
        self._position.set_text(f"{before + 1:,} to {before + shown:,}{total}" if shown else "")
        self._back.set_enabled(before > 0)
        self._forward.set_enabled(self._page.next is not None and len(self._cursors) < MAX_PAGES)
        for button in (self._back, self._forward):
            button.set_visibility(before > 0 or self._page.next is not None)
