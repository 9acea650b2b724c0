"""Giving a held batch another instant at which it is published, or none."""

from console.actions.review_batch import HeldBatch
from console.client import Json
from console.frame.visit import Visit
from console.widgets.batches import show_schedule
from console.widgets.dialogs import ActionDialog, InstantField
from console.widgets.parts import Text

RESCHEDULE = """
mutation ConsoleReschedule($input: RescheduleBatchInput!) {
  rescheduleBatch(input: $input) { batch { id } userErrors { code message } }
}"""


def schedule_dialog(visit: Visit, batch: Json) -> ActionDialog:
    """Return the dialog that gives a held batch an instant at which it is published, or another one."""
    held = HeldBatch(visit, batch)
    field: InstantField

    async def preview() -> None:
        nonlocal field
        await held.read()
        show_schedule(visit.viewer, held.batch["publishAt"])
        held.show()
        field = InstantField("Publish at", visit.viewer.zone)

    async def act(reason: str) -> None:
        await visit.api.mutate(RESCHEDULE, batch=batch["id"], publishAt=field.read(), reason=reason)

    return ActionDialog(f"Schedule a batch of {batch['priceList']}", "Schedule", preview, act)


def unschedule_dialog(visit: Visit, batch: Json) -> ActionDialog:
    """Return the dialog that takes the schedule of a held batch away."""
    held = HeldBatch(visit, batch)

    async def preview() -> None:
        await held.read()
        Text("p", "It is not published when it is due, and waits for a review.")
        show_schedule(visit.viewer, held.batch["publishAt"])
        held.show()

    async def act(reason: str) -> None:
        await visit.api.mutate(RESCHEDULE, batch=batch["id"], publishAt=None, reason=reason)

    return ActionDialog(f"Take a batch of {batch['priceList']} off its schedule", "Take it off", preview, act)
