"""The sections of a batch that are read on their own: its changes, the errors of its items, and its events."""

from nicegui import ui

from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import sku_path
from console.frame.viewer import parse_instant
from console.frame.visit import Visit
from console.widgets.batches import (
    compare_href,
    compared_version,
    is_outdated,
    move_text,
    summary_text,
    version_text,
)
from console.widgets.parts import Text, empty, fact, facts, link, section, show_error
from console.widgets.tables import Column, cell, table, time_cell

NOW = """
query ConsoleRebased($id: ID!) {
  batch(id: $id) { rebased { summary { added removed changed unchanged } } }
}"""

_PRICE = "{ amount currency }"

DIFFERENCES = f"""
query ConsoleFirstDifferences($list: ID!, $from: Int!, $to: Int!, $first: Int!) {{
  priceList(name: $list) {{
    diff(from: $from, to: $to, first: $first) {{ nodes {{ sku change before {_PRICE} after {_PRICE} }} }}
  }}
}}"""

ERRORS = """
query ConsoleItemErrors($id: ID!, $first: Int!, $after: String) {
  batch(id: $id) { errors(first: $first, after: $after) { index line sku field code message cursor } }
}"""

EVENTS = """
query ConsoleBatchEvents($list: ID!, $first: Int!, $after: String) {
  events(priceList: $list, first: $first, after: $after) {
    nodes { id kind at by reason fromVersion toVersion batch { id } }
    pageInfo { hasNextPage endCursor }
  }
}"""

FIRST_DIFFERENCES = 5

ERROR_PAGE_SIZE = 25

EVENT_PAGE_SIZE = 200
MAX_EVENT_PAGES = 5
"""Pages of the list's events that are searched for those of the batch, newest first."""

_KINDS = {"ADDED": "good", "REMOVED": "bad", "CHANGED": "warn"}

EVENT_KINDS = {
    "PREVIEW_GRANTED": "preview granted",
    "PREVIEW_REVOKED": "preview revoked",
    "ROLLED_BACK": "rolled back",
    "RETIRED": "expired",
}


async def show_changes(visit: Visit, batch: Json) -> None:
    """Show what a sealed batch changes: the numbers, now and when it was sealed, and the first differences."""
    with section("What it changes"):
        with facts():
            fact(f"Compared with {version_text(batch['baseVersion'])}", summary_text(batch["summary"]) or "unknown")
            if is_outdated(batch):
                now = (await visit.api.query(NOW, id=batch["id"]))["batch"]["rebased"]
                title = f"Published now, on {version_text(batch['rebased']['baseVersion'])}"
                fact(title, summary_text(now and now["summary"]), tone="warn")
        version, href = compared_version(batch), compare_href(batch)
        if version is None or href is None:
            return
        try:
            rows = await _first_differences(visit, batch, version)
        except ApiError as error:  # such as a version that has expired
            show_error(error)
            return
        if rows:
            table("First differences", _DIFFERENCE_COLUMNS, rows, key="sku")
        with ui.element("p"):
            link(f"Compare with version {version}", href)


async def show_errors(visit: Visit, batch: Json) -> None:
    """Show the errors of the items of a failed batch, a page at a time."""
    count = batch["errorCount"]
    note = f"{count:,} invalid {'item' if count == 1 else 'items'}" if count else ""
    with section("Errors", note=note):
        await ErrorTable(visit, batch["id"]).build()


class ErrorTable:
    """The errors of a batch. The cursors of the pages before lead back."""

    def __init__(self, visit: Visit, batch_id: str) -> None:
        self._visit = visit
        self._id = batch_id
        self._starts: list[str | None] = [None]
        self._next: str | None = None

    async def build(self) -> None:
        """Show the first page."""
        self._problem = ui.element("div")
        self._table = table("Errors of items", _ERROR_COLUMNS, [], key="cursor", page_size=ERROR_PAGE_SIZE)
        with ui.element("div").classes("bar"):
            self._back = ui.button("Previous", on_click=self._show_previous).props("flat dense no-caps")
            self._text = Text("span", "").classes("note")
            self._forward = ui.button("Next", on_click=self._show_next).props("flat dense no-caps")
        await self._read()

    async def _show_next(self) -> None:
        self._starts.append(self._next)
        await self._read()

    async def _show_previous(self) -> None:
        self._starts.pop()
        await self._read()

    async def _read(self) -> None:
        self._problem.clear()
        try:
            data = await self._visit.api.query(ERRORS, id=self._id, first=ERROR_PAGE_SIZE + 1, after=self._starts[-1])
        except ApiError as error:
            with self._problem:
                show_error(error)
            return
        errors = data["batch"]["errors"] if data["batch"] else []
        shown = errors[:ERROR_PAGE_SIZE]
        self._next = shown[-1]["cursor"] if len(errors) > ERROR_PAGE_SIZE else None
        self._table.rows = [error_row(each) for each in shown]
        first = (len(self._starts) - 1) * ERROR_PAGE_SIZE
        self._text.set_text(f"{first + 1:,} to {first + len(shown):,}" if shown else "No errors are stored any more.")
        self._back.set_enabled(len(self._starts) > 1)
        self._forward.set_enabled(self._next is not None)


async def show_events(visit: Visit, batch: Json) -> None:
    """Show what happened to a batch."""
    events = await _events_of(visit, batch)
    with section("Events"):
        if not events:
            empty("Nothing has happened to it yet.")
            return
        rows = [
            {
                "id": each["id"],
                "at": time_cell(visit.viewer, each["at"]),
                "kind": cell(event_text(each["kind"])),
                "version": cell(_move(each)),
                "by": cell(each["by"]),
                "reason": cell(each["reason"] or ""),
            }
            for each in events
        ]
        table("Events", _EVENT_COLUMNS, rows)


def difference_row(name: str, difference: Json) -> Json:
    """Return the row of a difference."""
    before, after = difference["before"], difference["after"]
    is_same_amount = bool(before and after) and price_text(before) == price_text(after)
    return {
        "sku": difference["sku"],
        "name": cell(difference["sku"], href=sku_path(name, difference["sku"])),
        "change": cell(difference["change"].lower(), tone=_KINDS.get(difference["change"], "muted")),
        "before": cell(price_text(before)),
        "after": cell(price_text(after), note="another field differs" if is_same_amount else None),
    }


def error_row(error: Json) -> Json:
    """Return the row of an error of an item."""
    return {
        "cursor": error["cursor"],
        "index": cell(error["index"]),
        "line": cell("" if error["line"] is None else error["line"]),
        "sku": cell(error["sku"] or ""),
        "field": cell(error["field"] or ""),
        "problem": cell(error["message"], note=error["code"]),
    }


def price_text(price: Json | None) -> str:
    """Return an amount with its currency; empty for None."""
    return f"{price['amount']} {price['currency']}" if price else ""


def event_text(kind: str) -> str:
    """Return the kind of an event in words."""
    return EVENT_KINDS.get(kind, kind.lower())


async def _first_differences(visit: Visit, batch: Json, version: int) -> list[Json]:
    name = batch["priceList"]
    variables = {"list": name, "from": version, "to": batch["version"], "first": FIRST_DIFFERENCES}
    data = await visit.api.query(DIFFERENCES, **variables)
    return [difference_row(name, each) for each in data["priceList"]["diff"]["nodes"]] if data["priceList"] else []


async def _events_of(visit: Visit, batch: Json) -> list[Json]:
    """Return the events of a batch, newest first: none is older than the batch."""
    found: list[Json] = []
    after: str | None = None
    for _ in range(MAX_EVENT_PAGES):
        page = (await visit.api.query(EVENTS, list=batch["priceList"], first=EVENT_PAGE_SIZE, after=after))["events"]
        found += [each for each in page["nodes"] if each["batch"] and each["batch"]["id"] == batch["id"]]
        after = page["pageInfo"]["endCursor"]
        is_over = page["nodes"] and parse_instant(page["nodes"][-1]["at"]) < parse_instant(batch["createdAt"])
        if is_over or not page["pageInfo"]["hasNextPage"]:
            break
    return found


def _move(event: Json) -> str:
    before, after = event["fromVersion"], event["toVersion"]
    return move_text(before, after) if after is not None and before != after else ""


_DIFFERENCE_COLUMNS = (
    Column("name", "Sku"),
    Column("change", "Change"),
    Column("before", "Before", numeric=True),
    Column("after", "After", numeric=True),
)
_ERROR_COLUMNS = (
    Column("index", "Item", numeric=True),
    Column("line", "Line", numeric=True),
    Column("sku", "Sku"),
    Column("field", "Field"),
    Column("problem", "Problem"),
)
_EVENT_COLUMNS = (
    Column("at", "When"),
    Column("kind", "What"),
    Column("version", "Current version"),
    Column("by", "By"),
    Column("reason", "Reason"),
)
