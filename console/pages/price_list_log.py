"""The audit log of a price list, on its page."""

from console.client import Json
from console.frame.paths import batch_path, release_path
from console.frame.visit import Visit
from console.widgets.events import EVENT_COLUMNS, EVENT_FIELDS, event_row
from console.widgets.paged import Page, PagedTable, next_cursor
from console.widgets.tables import Column, cell

EVENTS = f"""
query ConsoleEvents($name: ID!, $first: Int!, $after: String) {{
  events(priceList: $name, first: $first, after: $after) {{
    nodes {{ {EVENT_FIELDS} release batch {{ id label }} }}
    totalCount
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""

PAGE_SIZE = 20
"""Events of a page of the table."""

COLUMNS = (*EVENT_COLUMNS, Column("batch", "Batch"), Column("release", "Release"))


def log_table(visit: Visit, name: str) -> PagedTable:
    """Show the audit log of a list, newest first."""

    async def read(first: int, after: str | None) -> Page:
        events = (await visit.api.query(EVENTS, name=name, first=first, after=after))["events"]
        rows = [log_row(visit, each) for each in events["nodes"]]
        return Page(rows, next_cursor(events), events["totalCount"])

    return PagedTable("Audit log", COLUMNS, read, key="id", page_size=PAGE_SIZE, nothing="Nothing has happened yet.")


def log_row(visit: Visit, event: Json) -> Json:
    """Return the row of an event, with its batch and its release."""
    batch, release = event["batch"], event["release"]
    return {
        **event_row(visit.viewer, event),
        "batch": cell(batch["label"] or "batch", href=batch_path(batch["id"])) if batch else cell(),
        "release": cell("release", href=release_path(release)) if release else cell(),
    }
