"""The dialog of every action: it shows what will change, asks for a reason, and then does it."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from nicegui import ui

from console.client.errors import ApiError
from console.widgets.parts import Text, show_error

MAX_REASON_CHARACTERS = 1000
"""The API refuses longer reasons."""


class ActionDialog:
    """A dialog that does one thing, once its conditions are met.

    `preview` builds what will change; while it waits for the API, the action cannot be confirmed. `act` is called with
    the reason. A refusal is shown in the dialog, which stays open; after success the page is loaded again.
    With `typed_name`, that name has to be typed as well.
    """

    def __init__(
        self,
        title: str,
        button: str,
        preview: Callable[[], Awaitable[None]],
        act: Callable[[str], Awaitable[object]],
        *,
        typed_name: str | None = None,
        dangerous: bool = False,
    ) -> None:
        self._preview = preview
        self._act = act
        self._typed_name = typed_name
        self._is_busy = True
        with ui.dialog() as self._dialog, ui.card().classes("dialog"):
            self._dialog.props["aria-label"] = title
            Text("h2", title)
            self._content = ui.element("div").classes("dialog-content")
            self._reason = _field("Reason", "reason", self._check)
            self._reason.props["maxlength"] = MAX_REASON_CHARACTERS
            self._name = _field(f"Type {typed_name} to confirm", "confirm", self._check) if typed_name else None
            self._errors = ui.element("div").classes("wide")
            with ui.element("div").classes("dialog-buttons"):
                ui.button("Cancel", on_click=self._dialog.close).props("flat no-caps")
                self._button = ui.button(button, on_click=self._run).props("unelevated no-caps")
                self._button.props["color"] = "negative" if dangerous else "primary"
        self._check()

    @property
    def is_open(self) -> bool:
        """Whether the dialog is open."""
        return bool(self._dialog.value)

    async def open(self) -> None:
        """Open the dialog, and show what the action will change."""
        self._dialog.open()
        self._is_busy = True
        self._content.clear()
        self._errors.clear()
        self._check()
        try:
            with self._content:
                await self._preview()
        except ApiError as error:
            self._show(error)
            return
        self._is_busy = False
        self._check()

    def _check(self) -> None:
        is_named = self._name is None or self._name.value == self._typed_name
        self._button.set_enabled(bool(self._reason.value.strip()) and is_named and not self._is_busy)

    async def _run(self) -> None:
        self._check()
        if not self._button.enabled:
            return
        self._is_busy = True
        self._check()
        self._errors.clear()
        try:
            await self._act(self._reason.value.strip())
        except ApiError as error:
            self._show(error)
            self._is_busy = False
            self._check()
            return
        ui.navigate.reload()

    def _show(self, error: ApiError) -> None:
        with self._errors:
            show_error(error)


class DialogHost:
    """Where the dialogs of a page are built, one at a time, when they are opened."""

    def __init__(self) -> None:
        self._element = ui.element("div")
        self._dialog: ActionDialog | None = None

    @property
    def is_open(self) -> bool:
        """Whether a dialog is open, so that the page should stay as it is."""
        return self._dialog is not None and self._dialog.is_open

    async def open(self, build: Callable[[], ActionDialog]) -> None:
        """Build a dialog and open it, unless one is open."""
        if self.is_open:
            return
        self._element.clear()
        with self._element:
            self._dialog = build()
        await self._dialog.open()

    def button(self, label: str, build: Callable[[], ActionDialog], *, primary: bool = False) -> None:
        """Show the button that opens a dialog."""
        style = "no-caps unelevated" if primary else "no-caps outline"
        ui.button(label, on_click=lambda: self.open(build)).props(style)


class InstantField:
    """A field for a date and a time in a time zone; the browser has a picker for it."""

    def __init__(self, label: str, zone: ZoneInfo) -> None:
        self._zone = zone
        self._field = _field(f"{label} ({zone.key})", "instant", lambda: None)
        self._field.props["type"] = "datetime-local"
        self._field.props["stack-label"] = True

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been chosen."""
        return not self._field.value

    def read(self) -> str:
        """Return the instant as the API takes it. Raises `ApiError` if there is none."""
        try:
            local = datetime.fromisoformat(self._field.value or "")
        except ValueError:
            raise ApiError.of("NO_INSTANT", "Choose a date and a time.") from None
        return local.replace(tzinfo=self._zone).isoformat()


def _field(label: str, name: str, on_change: Callable[[], None]) -> ui.input:
    field = ui.input(label, on_change=lambda _: on_change()).props("outlined dense").classes("wide")
    field.props["name"] = name
    field.props["autocomplete"] = "off"
    field.value = ""
    return field
