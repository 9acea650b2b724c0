"""The table of all differences between two versions, a page of the API at a time."""

from console.client import Json
from console.frame.visit import Visit
from console.widgets.differences import DIFFERENCE_COLUMNS, DIFFERENCE_FIELDS, difference_row
from console.widgets.paged import Page, PagedTable, next_cursor

DIFFERENCES = f"""
query ConsoleDifferences($name: ID!, $from: Int!, $to: Int!, $prefix: String, $first: Int!, $after: String) {{
  priceList(name: $name) {{
    diff(from: $from, to: $to, skuPrefix: $prefix, first: $first, after: $after) {{
      nodes {{ {DIFFERENCE_FIELDS} }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}"""

PAGE_SIZE = 100
"""Differences of a page of the table."""


def all_differences_table(visit: Visit, versions: Json, prefix: str) -> PagedTable:
    """Show the differences of skus with a prefix; `versions` has the `name` of the list, `from` and `to`."""

    async def read(first: int, after: str | None) -> Page:
        data = await visit.api.query(DIFFERENCES, **versions, prefix=prefix, first=first, after=after)
        diff = data["priceList"]["diff"]
        return Page([difference_row(versions["name"], each) for each in diff["nodes"]], next_cursor(diff))

    return PagedTable(
        "All differences", DIFFERENCE_COLUMNS, read, key="id", page_size=PAGE_SIZE, nothing="Nothing differs."
    )
