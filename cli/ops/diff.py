"""`pricebook diff`: the differences between two versions, in sku order."""

from collections.abc import Iterator

import click

from cli.client import Json
from cli.ops.connection import Connection, command, limit_option, require_list
from cli.options import list_argument
from cli.output import Column, Output, json

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

_FIELDS = ("amount", "currency", "tiers", "validFrom", "validUntil")
_SHOWN_APART = {"amount", "currency"}


@command("diff")
@list_argument
@click.argument("before", metavar="FROM", type=int)
@click.argument("after", metavar="TO", type=int)
@limit_option(100)
def diff(connection: Connection, output: Output, price_list: str, before: int, after: int, limit: int) -> None:
    """Show the differences between two versions.

    A summary comes first, then each changed sku, in sku order.

    FROM may be newer than TO: the differences are then what a rollback to TO would change. The column ALSO names
    changed fields other than amount and currency, and each changed attribute, such as attributes.color. The JSON is
    {"summary": ..., "differences": [...]}; "fields" names all changed fields of a changed price.
    """
    summary = summary_of(connection, price_list, before, after)
    versions = {"from": before, "to": after}
    found: Iterator[Json] = connection.pages(
        lambda data: require_list(data, price_list)["diff"], DIFF, limit, name=price_list, **versions
    )
    differences = ({**each, "fields": _changed_fields(each["before"], each["after"])} for each in found)
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
            Column("ALSO", lambda row: ",".join(name for name in row["fields"] if name not in _SHOWN_APART)),
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


def _changed_fields(before: Json | None, after: Json | None) -> list[str]:
    """Return the names of the fields that differ, each attribute by its own; none if one version has no price."""
    if not before or not after:
        return []
    # As JSON, null differs from a missing attribute, and 1 from true.
    one, other = ({name: json(value) for name, value in price["attributes"].items()} for price in (before, after))
    attributes = [name for name in sorted({**one, **other}) if one.get(name) != other.get(name)]
    return [name for name in _FIELDS if before[name] != after[name]] + [f"attributes.{name}" for name in attributes]
