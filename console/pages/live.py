"""Live: batches that come in, versions as they become current, and the batches that finished last."""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

from nicegui import ui

from console.client import Json
from console.frame.paths import batch_path, compare_path, list_path
from console.frame.viewer import Viewer
from console.frame.visit import Visit
from console.widgets.batches import STATES, served_text, state_badge
from console.widgets.parts import Text, empty, link, notice, section
from console.widgets.progress import ProgressBar
from console.widgets.refresher import Refresher
from console.widgets.tables import Column, cell, table, time_cell
from console.widgets.versions import SUMMARY_FIELDS, move_text, summary_text

IN_PROGRESS = """
query ConsoleInProgress($first: Int!) {
  open: batches(state: OPEN, first: $first) { nodes { ...ConsoleComing } totalCount }
  sealing: batches(state: SEALING, first: $first) { nodes { ...ConsoleComing } totalCount }
}
fragment ConsoleComing on Batch {
  id priceList state label submittedBy createdAt progress { received stored expected }
}"""

FINISHED = f"""
query ConsoleFinished($first: Int!) {{
  published: batches(state: PUBLISHED, first: $first) {{ nodes {{ ...ConsoleFinishedBatch }} }}
  rejected: batches(state: REJECTED, first: $first) {{ nodes {{ ...ConsoleFinishedBatch }} }}
  failed: batches(state: FAILED, first: $first) {{ nodes {{ ...ConsoleFinishedBatch }} }}
}}
fragment ConsoleFinishedBatch on Batch {{
  id priceList state version label finishedAt errorCount
  summary {{ {SUMMARY_FIELDS} }}
  served {{ by of }}
}}"""

MAX_IN_PROGRESS = 20
"""Batches of each state whose progress is shown."""

MAX_FINISHED = 20
"""Batches that are shown, those that finished last."""

MAX_PUBLICATIONS = 100
"""Publications that are kept, the newest."""

IDLE_REFRESH_SECONDS = 5.0
"""How often the batches are read while none is in progress."""

KINDS = {
    "PUBLISHED": ("published", "good"),
    "APPROVED": ("approved", "good"),
    "ROLLED_BACK": ("rolled back", "warn"),
    "PINNED": ("pinned", "warn"),
    "UNPINNED": ("unpinned", "good"),
}
"""The text and the tone of what makes a version current."""


async def live_page(visit: Visit) -> None:
    """Build the page."""
    await Live(visit).build()


class Live:
    """The page. It reads what is in progress every second, and less often while nothing is."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._sees_batches = visit.caller.works_anywhere()
        self._publications: deque[Json] = deque(maxlen=MAX_PUBLICATIONS)
        self._bars: dict[str, ProgressBar] = {}
        self._finished: list[Json] | None = None

    async def build(self) -> None:
        """Show the sections, and keep them up to date. A caller who works on no list sees publications alone."""
        self._refresher = Refresher(self._read)
        if self._sees_batches:
            with section("In progress"):
                self._coming = ui.element("div")
        with section("Publications", note="as they happen, while this page is open"):
            self._interruption = ui.element("div")
            self._nothing = Text("p", "No publication since this page was opened.").classes("empty")
            self._feed = table("Publications", _FEED_COLUMNS, [], page_size=MAX_PUBLICATIONS)
            self._feed.set_visibility(False)
        self._visit.follow(self._note)
        if self._sees_batches:
            with section("Finished last"):
                self._done = ui.element("div")
            await self._read()
            self._refresher.follow(self._visit)
            self._refresher.repeat(IDLE_REFRESH_SECONDS)

    async def _read(self) -> None:
        coming = await self._visit.api.query(IN_PROGRESS, first=MAX_IN_PROGRESS)
        finished = finished_last(await self._visit.api.query(FINISHED, first=MAX_FINISHED))
        self._show_coming(coming)
        if self._bars:
            self._refresher.mark_stale()
        if finished != self._finished:
            self._finished = finished
            self._show_finished(finished)

    def _show_coming(self, coming: Json) -> None:
        batches = [*coming["sealing"]["nodes"], *coming["open"]["nodes"]]
        if batches and [each["id"] for each in batches] == list(self._bars):
            for each in batches:
                self._bars[each["id"]].update(each)
            return
        self._bars = {}
        self._coming.clear()
        with self._coming:
            if not batches:
                empty("No batch is in progress.")
                return
            for each in batches:
                self._bars[each["id"]] = _show_batch(each)
            if hidden := coming["open"]["totalCount"] + coming["sealing"]["totalCount"] - len(batches):
                Text("p", f"{hidden:,} more are in progress.").classes("note")

    def _show_finished(self, finished: Iterable[Json]) -> None:
        self._done.clear()
        with self._done:
            if rows := [finished_row(self._visit.viewer, each) for each in finished]:
                table("Batches that finished last", _FINISHED_COLUMNS, rows)
            else:
                empty("No batch has finished yet.")

    def _note(self, publication: Json | None) -> None:
        self._interruption.clear()
        if publication is None:
            with self._interruption:
                now = self._visit.viewer.time(datetime.now(UTC).isoformat())
                notice(f"Interrupted at {now}: publications may be missing here.")
            return
        self._publications.appendleft(publication)
        self._feed.rows = [publication_row(self._visit.viewer, each) for each in self._publications]
        self._feed.set_visibility(True)
        self._nothing.set_visibility(False)


def _show_batch(batch: Json) -> ProgressBar:
    with ui.element("div").classes("coming"):
        with ui.element("div").classes("section-head"):
            link(batch["priceList"], list_path(batch["priceList"]))
            state_badge(batch["state"])
            link("batch", batch_path(batch["id"]))
            Text("span", f"by {batch['submittedBy']}").classes("note")
        return ProgressBar(batch)


def finished_last(data: Json) -> list[Json]:
    """Return the batches of a response to `FINISHED` that finished last, the last one first."""
    batches = [each for state in data.values() for each in state["nodes"]]
    return sorted(batches, key=lambda each: each["finishedAt"] or "", reverse=True)[:MAX_FINISHED]


def publication_row(viewer: Viewer, publication: Json) -> Json:
    """Return the row of a publication."""
    name, before, after = publication["priceList"], publication["previousVersion"], publication["version"]
    text, tone = KINDS.get(publication["kind"], (publication["kind"].lower(), "muted"))
    href = compare_path(name, before, after) if before is not None and before != after else None
    return {
        "id": f"{name} {publication['at']} {after}",
        "list": cell(name, href=list_path(name)),
        "version": cell(move_text(before, after), href=href),
        "kind": cell(text, tone=tone),
        "at": time_cell(viewer, publication["at"]),
    }


def finished_row(viewer: Viewer, batch: Json) -> Json:
    """Return the row of a batch that is over."""
    text, tone = STATES[batch["state"]]
    return {
        "id": batch["id"],
        "list": cell(batch["priceList"], href=list_path(batch["priceList"])),
        "state": cell(text, tone=tone, href=batch_path(batch["id"])),
        "version": cell("" if batch["version"] is None else batch["version"], note=batch["label"]),
        "result": cell(result_text(batch)),
        "at": time_cell(viewer, batch["finishedAt"]),
        "served": cell(served_text(batch["served"])),
    }


def result_text(batch: Json) -> str:
    """Return what came of a batch: its invalid items, or what it changes."""
    if batch["errorCount"]:
        return f"{batch['errorCount']:,} invalid {'item' if batch['errorCount'] == 1 else 'items'}"
    return summary_text(batch["summary"])


_FEED_COLUMNS = (
    Column("list", "Price list"),
    Column("version", "Current version"),
    Column("kind", "What"),
    Column("at", "When"),
)
_FINISHED_COLUMNS = (
    Column("list", "Price list"),
    Column("state", "Batch"),
    Column("version", "Version"),
    Column("result", "Result"),
    Column("at", "Finished"),
    Column("served", "Served"),
)
