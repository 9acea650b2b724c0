"""Approving and rejecting a held batch: what is current, what the batch would make of it, and what its gates found."""

from nicegui import ui

from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import compare_path, list_path, release_path
from console.frame.visit import Visit
from console.widgets.batches import (
    BATCH_FIELDS,
    compared_version,
    held_move_text,
    is_outdated,
    show_findings,
    shown_findings,
)
from console.widgets.dialogs import ActionDialog
from console.widgets.parts import Text, fact, facts, link, notice, time
from console.widgets.versions import SUMMARY_FIELDS, summary_text, version_text

HELD_BATCH = f"""
query ConsoleHeldBatch($id: ID!, $list: ID!) {{
  batch(id: $id) {{ {BATCH_FIELDS} rebased {{ summary {{ {SUMMARY_FIELDS} }} }} }}
  priceList(name: $list) {{ pin {{ version }} }}
}}"""

APPROVE = """
mutation ConsoleApprove($input: ReviewBatchInput!) {
  approveBatch(input: $input) { batch { id } userErrors { code message } }
}"""

REJECT = """
mutation ConsoleReject($input: ReviewBatchInput!) {
  rejectBatch(input: $input) { batch { id } userErrors { code message } }
}"""


class HeldBatch:
    """A held batch as it is when a dialog shows it."""

    def __init__(self, visit: Visit, batch: Json) -> None:
        self.visit = visit
        self.batch = batch
        self.pin: Json | None = None

    async def read(self) -> Json:
        """Return the batch as it is now. Raises `ApiError` if it is no longer held."""
        batch_id = self.batch["id"]
        data = await self.visit.api.query(HELD_BATCH, id=batch_id, list=self.batch["priceList"])
        batch: Json | None = data["batch"]
        if batch is None or batch["rebased"] is None:
            state = batch["state"] if batch else "gone"
            raise ApiError.of("BATCH_NOT_HELD", f"Batch {batch_id} is {state}, not HELD. Load the page again.")
        self.batch = batch
        self.pin = (data["priceList"] or {}).get("pin")
        return batch

    @property
    def current(self) -> int | None:
        """The version that was current when the batch was read."""
        version: int | None = self.batch["rebased"]["baseVersion"]
        return version

    def show(self) -> None:
        """Show the batch: its versions, its changes, and its findings."""
        batch = self.batch
        with facts():
            fact("Price list", batch["priceList"])
            fact("Changes", held_move_text(batch))
            fact("Prices", summary_text(batch["rebased"]["summary"]))
        if batch["label"]:
            Text("p", batch["label"]).classes("note")
        if batch["mode"] == "MERGE" and is_outdated(batch):
            made, current = version_text(batch["baseVersion"]), version_text(self.current)
            notice(f"The batch was merged into {made}, and is now merged into {current}.")
        if findings := shown_findings(batch):
            show_findings(findings)
        if (version := compared_version(batch)) is not None:
            link(f"Compare with version {version}", compare_path(batch["priceList"], version, batch["version"])).props[
                "target"
            ] = "_blank"


def approve_dialog(visit: Visit, batch: Json) -> ActionDialog:
    """Return the dialog that approves a held batch."""
    return _Approval(visit, batch).dialog()


def reject_dialog(visit: Visit, batch: Json) -> ActionDialog:
    """Return the dialog that rejects a held batch."""
    held = HeldBatch(visit, batch)

    async def preview() -> None:
        await held.read()
        Text("p", _rejection(held.batch))
        held.show()

    async def act(reason: str) -> None:
        await visit.api.mutate(REJECT, batch=batch["id"], reason=reason)

    return ActionDialog(f"Reject a batch of {batch['priceList']}", "Reject", preview, act, dangerous=True)


class _Approval:
    def __init__(self, visit: Visit, batch: Json) -> None:
        self._held = HeldBatch(visit, batch)
        self._keeps_schedule: ui.checkbox | None = None

    def dialog(self) -> ActionDialog:
        title = f"Approve a batch of {self._held.batch['priceList']}"
        return ActionDialog(title, "Approve", self._preview, self._act)

    async def _preview(self) -> None:
        batch = await self._held.read()
        self._keeps_schedule = None
        if batch["release"]:
            with ui.element("p"):
                Text("span", "It is approved now, and published with release ")
                link(batch["release"]["name"], release_path(batch["release"]["id"]))
        elif self._held.pin and not batch["publishAt"]:
            notice(f"An approval is refused while the list is pinned to version {self._held.pin['version']}.", "bad")
            link("Unpin the list first", list_path(batch["priceList"]))
        elif not batch["publishAt"]:
            Text("p", "It becomes current at once.")
        self._held.show()
        if batch["publishAt"] and not batch["release"]:
            self._keeps_schedule = ui.checkbox("Publish it when it is due, and not now", value=True)
            with ui.element("p"):
                Text("span", "It is due ")
                time(self._held.visit.viewer, batch["publishAt"])

    async def _act(self, reason: str) -> None:
        fields = {"keepSchedule": True} if self._keeps_schedule and self._keeps_schedule.value else {}
        batch = self._held.batch
        await self._held.visit.api.mutate(
            APPROVE, batch=batch["id"], reason=reason, expectedVersion=self._held.current or 0, **fields
        )


def _rejection(batch: Json) -> str:
    if batch["release"]:
        return f"It leaves release {batch['release']['name']}, and is never published."
    return "It is never published, and its version can no longer be read."
