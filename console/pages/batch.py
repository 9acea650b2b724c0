"""A batch: its progress while it comes in, its findings and changes, its errors, who serves it, and its events."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from nicegui import background_tasks, ui

from console.actions.review_batch import approve_dialog, reject_dialog
from console.actions.schedule_batch import schedule_dialog, unschedule_dialog
from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import list_path, release_path
from console.frame.visit import Visit
from console.pages.batch_sections import show_changes, show_errors, show_events
from console.widgets.batches import (
    BATCH_FIELDS,
    IN_PROGRESS,
    served_fact,
    show_findings,
    show_waits,
    shown_findings,
    state_badge,
)
from console.widgets.dialogs import DialogHost
from console.widgets.parts import Text, empty, fact, facts, link, section, show_error, time_fact
from console.widgets.progress import ProgressBar
from console.widgets.refresher import Refresher

_FIELDS = f"""
fragment ConsoleBatchFields on Batch {{
  {BATCH_FIELDS}
  submittedBy createdAt finishedAt madeOnVersion errorCount
  progress {{ received stored expected }}
  served {{ by of }}
}}"""

BATCH = f"""
query ConsoleBatch($id: ID!) {{
  batch(id: $id) {{ ...ConsoleBatchFields }}
}}
{_FIELDS}"""

PROGRESS = f"""
subscription ConsoleBatchProgress($id: ID!) {{
  batchProgress(id: $id) {{ ...ConsoleBatchFields }}
}}
{_FIELDS}"""

RETRY_SECONDS = 3.0
"""Time until a progress that was interrupted is followed again."""

REFRESH_SECONDS = 5.0
"""How often a batch that is not final, or was published, is read again."""

MODES = {"REPLACE": "replaces the list", "MERGE": "merged into the list"}


async def batch_page(visit: Visit, batch_id: str) -> None:
    """Build the page."""
    found = (await visit.api.query(BATCH, id=batch_id))["batch"]
    if found is None:
        empty("There is no such batch, or you do not work on its price list. /review has those that wait.")
        return
    await BatchPage(visit, found).build()


class BatchPage:
    """The page. It is built again when the batch has changed, but not below an open dialog."""

    def __init__(self, visit: Visit, batch: Json) -> None:
        self._visit = visit
        self._batch = batch
        self._bar: ProgressBar | None = None

    async def build(self) -> None:
        """Show the batch, and keep it up to date."""
        self._dialogs = DialogHost()
        self._refresher = Refresher(self._refresh, is_paused=self._is_paused)
        self._content = ui.element("div")
        await self._show()
        if self._batch["state"] in IN_PROGRESS:
            ui.context.client.on_delete(background_tasks.create(self._follow()).cancel)
        self._refresher.repeat(REFRESH_SECONDS)

    def _is_paused(self) -> bool:
        """Whether the page stays as it is: its progress is followed, or a dialog is open."""
        return self._batch["state"] in IN_PROGRESS or self._dialogs.is_open

    async def _follow(self) -> None:
        """Show the progress until the batch is complete; after an interruption, again."""
        while self._batch["state"] in IN_PROGRESS:
            try:
                async with aclosing(self._visit.api.subscribe(PROGRESS, id=self._batch["id"])) as events:
                    async for data in events:
                        self._refresher.show(None)
                        await self._update(data["batchProgress"])
            except ApiError as error:
                self._refresher.show(error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _refresh(self) -> None:
        found = (await self._visit.api.query(BATCH, id=self._batch["id"]))["batch"]
        await self._update(found or self._batch)

    async def _update(self, batch: Json) -> None:
        if batch == self._batch or self._dialogs.is_open:
            return
        is_progress = self._bar is not None and batch["state"] == self._batch["state"]
        self._batch = batch
        if is_progress and self._bar:
            self._bar.update(batch)
        else:
            await self._show()

    async def _show(self) -> None:
        batch = self._batch
        self._content.clear()
        with self._content:
            self._show_head()
            self._bar = ProgressBar(batch) if batch["state"] in IN_PROGRESS else None
            self._show_facts()
            self._show_actions()
            if findings := shown_findings(batch):
                with section("Findings"):
                    show_findings(findings)
            for show in _sections(batch):
                try:
                    await show(self._visit, batch)
                except ApiError as error:  # such as a version that has expired
                    show_error(error)

    def _show_head(self) -> None:
        batch = self._batch
        with ui.element("div").classes("bar"):
            state_badge(batch["state"])
            if batch["state"] == "HELD":
                show_waits(batch)
            link(batch["priceList"], list_path(batch["priceList"]))
            Text("span", MODES[batch["mode"]])
        if batch["label"]:
            Text("p", str(batch["label"]))

    def _show_facts(self) -> None:
        batch, viewer = self._batch, self._visit.viewer
        with facts():
            if batch["state"] not in IN_PROGRESS:
                fact("Version", "none" if batch["version"] is None else str(batch["version"]))
                fact("Prices", f"{batch['progress']['stored']:,}")
            if batch["mode"] == "MERGE":
                fact("Made on version", "none" if batch["madeOnVersion"] is None else str(batch["madeOnVersion"]))
            fact("Sent by", batch["submittedBy"])
            time_fact(viewer, "Sent", batch["createdAt"])
            if batch["finishedAt"]:
                time_fact(viewer, "Finished", batch["finishedAt"])
            if batch["publishAt"]:
                time_fact(viewer, "Due", batch["publishAt"])
            served_fact(batch["served"])
            if batch["release"]:
                with ui.element("div"):
                    Text("dt", "Release")
                    with ui.element("dd"):
                        link(batch["release"]["name"], release_path(batch["release"]["id"]))

    def _show_actions(self) -> None:
        batch, visit = self._batch, self._visit
        if batch["state"] != "HELD" or not visit.may_operate(batch["priceList"]):
            return
        with ui.element("div").classes("bar"):
            self._dialogs.button("Approve", lambda: approve_dialog(visit, batch), primary=True)
            self._dialogs.button("Reject", lambda: reject_dialog(visit, batch))
            if batch["release"]:
                return
            label = "Reschedule" if batch["publishAt"] else "Schedule"
            self._dialogs.button(label, lambda: schedule_dialog(visit, batch))
            if batch["publishAt"]:
                self._dialogs.button("Take off the schedule", lambda: unschedule_dialog(visit, batch))


def _sections(batch: Json) -> list[Callable[[Visit, Json], Awaitable[None]]]:
    """Return the sections that a batch in its state has."""
    if batch["state"] in IN_PROGRESS:
        return []
    sections: list[Callable[[Visit, Json], Awaitable[None]]] = []
    if batch["state"] == "FAILED":
        sections.append(show_errors)
    if batch["summary"]:
        sections.append(show_changes)
    return [*sections, show_events]
