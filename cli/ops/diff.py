"""`pricebook diff`: the differences between two versions, in sku order."""

from collections.abc import Iterator

import click

from cli.client.client import Json
from cli.ops.connection import Connection, command, limit_option, require_list
from cli.options import list_argument
from cli.output import Column, Output

DIFF = """
query Diff($name: ID!, $from: Int!, $to: Int!, $first: Int!, $after: String) {
  priceList(name: $name) {
    diff(from: $from, to: $to, first: $first, after: $after) {
      nodes { sku change before { ...AllFields } after { ...AllFields } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
fragment AllFields on Price { amount currency tiers { minQuantity amount } validFrom validUntil attributes }"""

SUMMARY = """
query Summary($name: ID!, $from: Int!, $to: Int!) {
  priceList(name: $name) {
    diff(from: $from, to: $to, first: 1) { summary { added removed changed unchanged } }
  }
}"""

_OTHER_FIELDS = ("tiers", "validFrom", "validUntil", "attributes")


@command("diff")
@list_argument
@click.argument("before", metavar="FROM", type=int)
@click.argument("after", metavar="TO", type=int)
@limit_option(100)
def diff(connection: Connection, output: Output, price_list: str, before: int, after: int, limit: int) -> None:
    """Show the differences between two versions.

    A summary comes first, then each changed sku, in sku order.

    FROM may be newer than TO: the differences are then what a rollback to TO would change. The column ALSO names
    changed fields other than amount and currency. The JSON is {"summary": ..., "differences": [...]}.
    """
    summary = summary_of(connection, price_list, before, after)
    differences: Iterator[Json] = connection.pages(
        lambda data: require_list(data, price_list)["diff"],
        DIFF,
        limit,
        name=price_list,
        **{"from": before, "to": after},
    )
    output.rows_with_summary(
        {"summary": summary},
        summary_line(summary),
        "differences",
        differences,
        [
            Column("CHANGE", lambda row: row["change"].lower()),
            Column("SKU", lambda row: row["sku"]),
            Column("BEFORE", lambda row: _amount(row["before"]), numeric=True),
            Column("AFTER", lambda row: _amount(row["after"]), numeric=True),
            Column("ALSO", _other_changes),
        ],
        "The versions are the same.",
    )


def summary_of(connection: Connection, price_list: str, before: int, after: int) -> Json:
    """Return the number of prices that were added, removed, changed and unchanged."""
    data = connection.query(SUMMARY, name=price_list, **{"from": before, "to": after})
    summary: Json = require_list(data, price_list)["diff"]["summary"]
    return summary


def summary_line(summary: Json) -> str:
    """Return a summary as one line."""
    return ", ".join(f"{summary[name]:,} {name}" for name in ("added", "removed", "changed", "unchanged")) + "."


def _amount(price: Json | None) -> str | None:
    return f"{price['amount']} {price['currency']}" if price else None


def _other_changes(row: Json) -> str | None:
    if not row["before"] or not row["after"]:
        return None
    return ",".join(name for name in _OTHER_FIELDS if row["before"][name] != row["after"][name]) or None
