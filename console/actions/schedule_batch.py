"""Giving a held batch another instant at which it is published, or none."""

from nicegui import ui

from console.actions.review_batch import HeldBatch
from console.client import Json
from console.frame.visit import Visit
from console.widgets.dialogs import ActionDialog, instant_field, require_instant
from console.widgets.parts import Text, time

RESCHEDULE = """
mutation ConsoleReschedule($input: RescheduleBatchInput!) {
  rescheduleBatch(input: $input) { batch { id } userErrors { code message } }
}"""


def schedule_dialog(visit: Visit, batch: Json) -> ActionDialog:
    """Return the dialog that gives a held batch an instant at which it is published, or another one."""
    return _Schedule(visit, batch).dialog()


def unschedule_dialog(visit: Visit, batch: Json) -> ActionDialog:
    """Return the dialog that takes the schedule of a held batch away."""
    held = HeldBatch(visit, batch)

    async def preview() -> None:
        await held.read()
        Text("p", "It is not published when it is due, and waits for a review.")
        _show_schedule(held)
        held.show()

    async def act(reason: str) -> None:
        await visit.api.mutate(RESCHEDULE, batch=batch["id"], publishAt=None, reason=reason)

    return ActionDialog(f"Take a batch of {batch['priceList']} off its schedule", "Take it off", preview, act)


class _Schedule:
    def __init__(self, visit: Visit, batch: Json) -> None:
        self._held = HeldBatch(visit, batch)
        self._field: ui.input | None = None

    def dialog(self) -> ActionDialog:
        title = f"Schedule a batch of {self._held.batch['priceList']}"
        return ActionDialog(title, "Schedule", self._preview, self._act)

    async def _preview(self) -> None:
        await self._held.read()
        _show_schedule(self._held)
        self._held.show()
        self._field = instant_field(f"Publish at ({self._held.visit.viewer.zone.key})", lambda: None)

    async def _act(self, reason: str) -> None:
        at = require_instant(self._field.value if self._field else "", self._held.visit.viewer.zone)
        await self._held.visit.api.mutate(
            RESCHEDULE, batch=self._held.batch["id"], publishAt=at.isoformat(), reason=reason
        )


def _show_schedule(held: HeldBatch) -> None:
    with ui.element("p"):
        if held.batch["publishAt"]:
            Text("span", "Now due ")
            time(held.visit.viewer, held.batch["publishAt"])
        else:
            Text("span", "It has no schedule yet.")
