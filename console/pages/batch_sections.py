"""The sections of a batch that are read on their own: its changes, the errors of its items, and its events."""

from nicegui import ui

from console.actions.changes import changes_now
from console.client import Json
from console.frame.viewer import parse_instant
from console.frame.visit import Visit
from console.widgets.batches import compare_href, compared_version, is_outdated
from console.widgets.differences import DIFFERENCE_FIELDS, difference_table
from console.widgets.events import EVENT_COLUMNS, EVENT_FIELDS, event_row
from console.widgets.paged import Page, PagedTable
from console.widgets.parts import empty, fact, facts, link, section
from console.widgets.tables import Column, cell, table
from console.widgets.versions import move_text, summary_text, version_text

DIFFERENCES = f"""
query ConsoleFirstDifferences($list: ID!, $from: Int!, $to: Int!, $first: Int!) {{
  priceList(name: $list) {{ diff(from: $from, to: $to, first: $first) {{ nodes {{ {DIFFERENCE_FIELDS} }} }} }}
}}"""

ERRORS = """
query ConsoleItemErrors($id: ID!, $first: Int!, $after: String) {
  batch(id: $id) { errors(first: $first, after: $after) { index line sku field code message cursor } }
}"""

EVENTS = f"""
query ConsoleBatchEvents($list: ID!, $first: Int!, $after: String) {{
  events(priceList: $list, first: $first, after: $after) {{
    nodes {{ {EVENT_FIELDS} batch {{ id }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""

FIRST_DIFFERENCES = 5

ERROR_PAGE_SIZE = 25

EVENT_PAGE_SIZE = 200
MAX_EVENT_PAGES = 5
"""Pages of the list's events that are searched for those of the batch, newest first."""


async def show_changes(visit: Visit, batch: Json) -> None:
    """Show what a sealed batch changes: the numbers, now and when it was sealed, and the first differences."""
    with section("What it changes"):
        with facts():
            fact(f"Compared with {version_text(batch['baseVersion'])}", summary_text(batch["summary"]) or "unknown")
            if is_outdated(batch):
                title = f"Published now, on {version_text(batch['rebased']['baseVersion'])}"
                fact(title, await changes_now(visit, batch), tone="warn")
        version, href = compared_version(batch), compare_href(batch)
        if version is None or href is None:
            return
        with ui.element("p"):
            link(f"Compare with version {version}", href)
        if differences := await _first_differences(visit, batch, version):
            difference_table("First differences", batch["priceList"], differences)


async def show_errors(visit: Visit, batch: Json) -> None:
    """Show the errors of the items of a failed batch, a page at a time."""
    count = batch["errorCount"]
    note = f"{count:,} invalid {'item' if count == 1 else 'items'}" if count else ""
    with section("Errors", note=note):
        await _error_table(visit, batch["id"]).refresh()


def _error_table(visit: Visit, batch_id: str) -> PagedTable:
    async def read(first: int, after: str | None) -> Page:
        data = await visit.api.query(ERRORS, id=batch_id, first=first + 1, after=after)
        errors = data["batch"]["errors"] if data["batch"] else []
        shown = errors[:first]
        return Page([error_row(each) for each in shown], shown[-1]["cursor"] if len(errors) > first else None)

    return PagedTable(
        "Errors of items",
        _ERROR_COLUMNS,
        read,
        key="cursor",
        page_size=ERROR_PAGE_SIZE,
        nothing="No errors are stored any more.",
    )


async def show_events(visit: Visit, batch: Json) -> None:
    """Show what happened to a batch."""
    events = await _events_of(visit, batch)
    with section("Events"):
        if not events:
            empty("Nothing has happened to it yet.")
            return
        rows = [{**event_row(visit.viewer, each), "version": cell(_move(each))} for each in events]
        table("Events", _EVENT_COLUMNS, rows)


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


async def _first_differences(visit: Visit, batch: Json, version: int) -> list[Json]:
    name = batch["priceList"]
    variables = {"list": name, "from": version, "to": batch["version"], "first": FIRST_DIFFERENCES}
    data = await visit.api.query(DIFFERENCES, **variables)
    return list(data["priceList"]["diff"]["nodes"]) if data["priceList"] else []


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


_ERROR_COLUMNS = (
    Column("index", "Item", numeric=True),
    Column("line", "Line", numeric=True),
    Column("sku", "Sku"),
    Column("field", "Field"),
    Column("problem", "Problem"),
)
_EVENT_COLUMNS = (*EVENT_COLUMNS, Column("version", "Current version"))
