"""Roll a price list back to an earlier version."""

from nicegui import ui

from console.actions.changes import show_changes
from console.client import Json
from console.client.errors import ApiError
from console.frame.visit import Visit
from console.widgets.dialogs import ActionDialog
from console.widgets.parts import Text, fact, facts, notice, show_error
from console.widgets.versions import snapshot_text

TARGETS = """
query ConsoleRollbackTargets($name: ID!, $first: Int!) {
  priceList(name: $name) {
    current { version label size }
    pin { version by reason }
    snapshots(first: $first) { nodes { version label size state } }
  }
}"""

TARGET = """
query ConsoleRollbackTarget($name: ID!, $version: Int!) {
  snapshot(priceList: $name, version: $version) { version label size }
}"""

ROLL_BACK = """
mutation ConsoleRollback($input: RollbackInput!) {
  rollback(input: $input) { priceList { currentVersion } userErrors { code message } }
}"""

MAX_TARGETS = 50
"""Versions to choose from; the table of versions leads to older ones."""


def rollback_dialog(visit: Visit, list_name: str, to_version: int | None = None) -> ActionDialog:
    """Return the dialog that rolls a price list back to a version; without one, it is chosen in the dialog."""
    rollback = _Rollback(visit, list_name, to_version)
    title = f"Roll back {list_name}" + (f" to version {to_version}" if to_version else "")
    return ActionDialog(title, "Roll back", rollback.preview, rollback.act, typed_name=list_name, dangerous=True)


class _Rollback:
    def __init__(self, visit: Visit, list_name: str, to_version: int | None) -> None:
        self._visit = visit
        self._name = list_name
        self._wanted = to_version
        self._current: Json = {}
        self._asked: int | None = None  # the version that was chosen last
        self._shown: int | None = None  # the version whose changes the preview shows

    async def preview(self) -> None:
        data = await self._visit.api.query(TARGETS, name=self._name, first=MAX_TARGETS)
        price_list = data["priceList"]
        if price_list is None or price_list["current"] is None:
            raise ApiError.of("NO_VERSION", "No version has been published: there is nothing to roll back.")
        self._current = price_list["current"]
        if self._wanted is None:
            self._choose([each for each in price_list["snapshots"]["nodes"] if each["state"] == "PUBLISHED"])
        self._changes = ui.element("div")
        self._pin = ui.checkbox("Pin it, so that the next batch does not undo this", value=True)
        if price_list["pin"]:
            Text("p", "The list is pinned already. Without the tick, that pin moves to this version.").classes("note")
        if self._wanted is not None:
            await self._show(self._wanted)

    async def act(self, reason: str) -> object:
        if self._shown is None:
            raise ApiError.of("NO_CHOICE", "Choose a version, and wait until its changes are shown.")
        return await self._visit.api.mutate(
            ROLL_BACK,
            priceList=self._name,
            toVersion=self._shown,
            expectedVersion=self._current["version"],
            pin=self._pin.value,
            reason=reason,
        )

    def _choose(self, published: list[Json]) -> None:
        targets = {each["version"]: snapshot_text(each) for each in published}
        targets.pop(self._current["version"], None)
        if not targets:
            raise ApiError.of("NO_VERSION", "There is no other published version to roll back to.")

        async def chosen() -> None:
            with self._changes:
                await self._show_or_explain(int(choice.value))

        choice = ui.select(targets, label="Version", on_change=chosen).props("outlined dense").classes("wide")

    async def _show_or_explain(self, version: int) -> None:
        try:
            await self._show(version)
        except ApiError as error:
            show_error(error)

    async def _show(self, version: int) -> None:
        self._asked, self._shown = version, None
        self._changes.clear()
        data = await self._visit.api.query(TARGET, name=self._name, version=version)
        target = data["snapshot"]
        if self._asked != version:
            return
        if target is None:
            raise ApiError.of("SNAPSHOT_NOT_FOUND", f"{self._name} has no version {version}.")
        with self._changes, ui.element("div"):
            with facts():
                fact("Current", snapshot_text(self._current))
                fact("Afterwards", snapshot_text(target))
            if version == self._current["version"]:
                notice("This version is current already.")
            else:
                await show_changes(self._visit, self._name, self._current["version"], version)
        if self._asked == version:
            self._shown = version
