"""Keeping a page up to date while it is open."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from console.client import Json
from console.client.errors import ApiError
from console.frame.visit import Visit
from console.widgets.parts import notice

MIN_REFRESH_SECONDS = 1.0
"""Shortest time between two refreshes, however many publications arrive."""


class Refresher:
    """Refreshes a page when it may be stale, and warns while that fails. Built where the warning is to stand.

    While `is_paused`, it waits: a page is not built again below an open dialog.
    """

    def __init__(
        self, refresh: Callable[[], Awaitable[None]], *, is_paused: Callable[[], bool] = lambda: False
    ) -> None:
        self._refresh = refresh
        self._is_paused = is_paused
        self._is_stale = False
        self._warning = notice("", "bad")
        self._warning.set_visibility(False)
        ui.timer(MIN_REFRESH_SECONDS, self._refresh_if_stale)

    def follow(self, visit: Visit, price_list: str | None = None) -> None:
        """Refresh the page after each publication, of one price list or of any."""

        def note(publication: Json | None) -> None:
            if publication is None or price_list in {None, publication["priceList"]}:
                self.mark_stale()

        visit.follow(note)

    def repeat(self, seconds: float) -> None:
        """Refresh the page at an interval, for changes that are not publications."""
        ui.timer(seconds, self.mark_stale, immediate=False)

    def mark_stale(self) -> None:
        """Refresh the page soon."""
        self._is_stale = True

    def show(self, error: ApiError | None) -> None:
        """Show why the page is not up to date; with None, that it is."""
        self._warning.set_text(f"Not up to date: {error}" if error else "")
        self._warning.set_visibility(error is not None)

    async def _refresh_if_stale(self) -> None:
        if not self._is_stale or self._is_paused():
            return
        self._is_stale = False
        try:
            await self._refresh()
        except ApiError as error:
            self.show(error)
        else:
            self.show(None)
