"""Keep a version of a price list until an instant, whatever retention says; or keep it no longer."""

from datetime import datetime

from nicegui import ui

from console.actions.rollback import version_text
from console.client.errors import ApiError, Problem
from console.frame.visit import Visit
from console.widgets.dialogs import ActionDialog, instant_field, parse_field
from console.widgets.parts import Text, fact, facts, time_fact

KEEPABLE = """
query ConsoleKeepable($name: ID!, $version: Int!) {
  snapshot(priceList: $name, version: $version) { version label size keptUntil }
  priceList(name: $name) { retention { versions days thin } }
}"""

KEEP = """
mutation ConsoleKeepVersion($input: KeepVersionInput!) {
  keepVersion(input: $input) { priceList { name } userErrors { code message } }
}"""


def keep_dialog(visit: Visit, list_name: str, version: int) -> ActionDialog:
    """Return the dialog that sets until when a version is kept."""
    keep = _Keep(visit, list_name, version)
    return ActionDialog(f"Keep version {version} of {list_name}", "Keep", keep.preview, keep.act)


class _Keep:
    def __init__(self, visit: Visit, list_name: str, version: int) -> None:
        self._visit = visit
        self._name = list_name
        self._version = version
        self._until: ui.input | None = None
        self._no_longer: ui.checkbox | None = None

    async def preview(self) -> None:
        data = await self._visit.api.query(KEEPABLE, name=self._name, version=self._version)
        if data["snapshot"] is None:
            raise ApiError([Problem("SNAPSHOT_NOT_FOUND", f"{self._name} has no version {self._version}.")])
        kept = data["snapshot"]["keptUntil"]
        rules = data["priceList"]["retention"]
        with facts():
            fact("Version", version_text(data["snapshot"]))
            time_fact(self._visit.viewer, "Kept until", kept, missing="as retention says")
            fact("Retention", f"{rules['versions']:,} versions, {rules['days']:,} days")
        self._until = instant_field("Keep until", lambda: None)
        Text("p", f"Time in {self._visit.viewer.zone.key}.").classes("note")
        self._no_longer = ui.checkbox("Keep it no longer than retention says") if kept else None

    async def act(self, reason: str) -> object:
        until = self._instant()
        return await self._visit.api.mutate(
            KEEP, priceList=self._name, version=self._version, until=until and until.isoformat(), reason=reason
        )

    def _instant(self) -> datetime | None:
        if self._no_longer is not None and self._no_longer.value:
            return None
        until = parse_field(self._until.value or "", self._visit.viewer.zone) if self._until else None
        if until is None:
            raise ApiError([Problem("NO_INSTANT", "Enter the date and the time until which to keep the version.")])
        return until
