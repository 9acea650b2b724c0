"""A table that reads one page of its rows at a time, by cursor."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from console.client import Json
from console.client.errors import ApiError
from console.widgets.parts import Text, show_error
from console.widgets.tables import Column, table

ReadPage = Callable[[int, str | None], Awaitable[Json]]
"""Returns a connection with `totalCount`, `pageInfo` and what rows are made of: so many items after a cursor."""

MAX_PAGES = 1_000
"""Pages that one can go back."""


class PagedTable:
    """A table with buttons to older and newer pages. Rows come newest first, and only one page is held.

    Without rows it shows `nothing`, which says what would put some there.
    """

    def __init__(
        self,
        label: str,
        columns: Sequence[Column],
        read: ReadPage,
        rows: Callable[[Json], list[Json]],
        *,
        key: str,
        page_size: int,
        nothing: str,
    ) -> None:
        self._read = read
        self._rows = rows
        self._cursors: list[str | None] = [None]  # of the pages up to the one that is shown
        self._next: str | None = None
        self._errors = ui.element("div")
        self._page_size = page_size
        self.table = table(label, columns, [], key=key).classes("paged")
        self._nothing = Text("p", nothing).classes("empty")
        with ui.element("div").classes("pager"):
            self._newer = ui.button("Newer", on_click=self._show_newer).props("flat dense no-caps icon=chevron_left")
            self._older = ui.button("Older", on_click=self._show_older).props(
                "flat dense no-caps icon-right=chevron_right"
            )
            self._position = Text("span", "").classes("note")
            self._position.props["role"] = "status"

    async def refresh(self) -> None:
        """Read the page that is shown again. Raises `ApiError`."""
        connection = await self._read(self._page_size, self._cursors[-1])
        rows = self._rows(connection)
        info, total = connection["pageInfo"], connection["totalCount"]
        self._next = info["endCursor"] if info["hasNextPage"] else None
        self.table.rows = rows
        self.table.set_visibility(bool(rows))
        self._nothing.set_visibility(not rows)
        start = (len(self._cursors) - 1) * self._page_size
        self._position.set_text(f"{start + 1:,} to {start + len(rows):,} of {total:,}" if rows else "")
        self._newer.set_enabled(len(self._cursors) > 1)
        self._older.set_enabled(self._next is not None and len(self._cursors) < MAX_PAGES)
        for button in (self._newer, self._older):
            button.set_visibility(total > self._page_size)

    async def _show_older(self) -> None:
        if self._next is not None:
            await self._turn([*self._cursors, self._next])

    async def _show_newer(self) -> None:
        await self._turn(self._cursors[:-1] or [None])

    async def _turn(self, cursors: list[str | None]) -> None:
        before, self._cursors = self._cursors, cursors
        self._errors.clear()
        try:
            await self.refresh()
        except ApiError as error:
            self._cursors = before
            with self._errors:
                show_error(error)
