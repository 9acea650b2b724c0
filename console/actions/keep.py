"""Keep a version of a price list until an instant, whatever retention says; or keep it no longer."""

from nicegui import ui

from console.client.errors import ApiError
from console.frame.visit import Visit
from console.widgets.dialogs import ActionDialog, InstantField
from console.widgets.parts import fact, facts, time_fact
from console.widgets.versions import snapshot_text

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
        self._until: InstantField
        self._no_longer: ui.checkbox | None

    async def preview(self) -> None:
        data = await self._visit.api.query(KEEPABLE, name=self._name, version=self._version)
        if data["snapshot"] is None:
            raise ApiError.of("SNAPSHOT_NOT_FOUND", f"{self._name} has no version {self._version}.")
        kept = data["snapshot"]["keptUntil"]
        rules = data["priceList"]["retention"]
        with facts():
            fact("Version", snapshot_text(data["snapshot"]))
            time_fact(self._visit.viewer, "Kept until", kept, missing="as retention says")
            fact("Retention", f"{rules['versions']:,} versions, {rules['days']:,} days")
        self._until = InstantField("Keep until", self._visit.viewer.zone)
        self._no_longer = ui.checkbox("Keep it no longer than retention says") if kept else None

    async def act(self, reason: str) -> object:
        until = None if self._no_longer and self._no_longer.value else self._until.read()
        return await self._visit.api.mutate(
            KEEP, priceList=self._name, version=self._version, until=until, reason=reason
        )
