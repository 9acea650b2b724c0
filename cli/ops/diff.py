"""`pricebook diff`: what differs between two versions, in sku order, as it comes."""

from collections.abc import Iterator

import click

from cli.client.client import Json
from cli.ops.connection import Connection, command, found_list, limit_option
from cli.output import Column, Output

DIFF = """
query Diff($name: ID!, $from: Int!, $to: Int!, $first: Int!, $after: String) {
  priceList(name: $name) {
    diff(from: $from, to: $to, first: $first, after: $after) {
      nodes { sku change before { ...Whole } after { ...Whole } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
fragment Whole on Price { amount currency tiers { minQuantity amount } validFrom validUntil attributes }"""

SUMMARY = """
query Summary($name: ID!, $from: Int!, $to: Int!) {
  priceList(name: $name) {
    diff(from: $from, to: $to, first: 1) { summary { added removed changed unchanged } }
  }
}"""

_ALSO = ("tiers", "validFrom", "validUntil", "attributes")


@command("diff")
@click.argument("price_list", metavar="LIST")
@click.argument("before", metavar="FROM", type=int)
@click.argument("after", metavar="TO", type=int)
@limit_option(100)
def diff(connection: Connection, output: Output, price_list: str, before: int, after: int, limit: int) -> None:
    """Show what differs between two versions.

    How much in all, then each sku, in order.

    FROM may be the newer one: then it tells what a rollback to TO would change. The column ALSO names what differs
    beside amount and currency. JSON comes as {"summary": ..., "differences": [...]}.
    """
    summary = summarized(connection, price_list, before, after)
    differences: Iterator[Json] = connection.pages(
        lambda data: found_list(data, price_list)["diff"],
        DIFF,
        limit,
        name=price_list,
        **{"from": before, "to": after},
    )
    output.headed(
        {"summary": summary},
        told(summary),
        "differences",
        differences,
        [
            Column("CHANGE", lambda row: row["change"].lower()),
            Column("SKU", lambda row: row["sku"]),
            Column("BEFORE", lambda row: _amount(row["before"]), numeric=True),
            Column("AFTER", lambda row: _amount(row["after"]), numeric=True),
            Column("ALSO", _also),
        ],
    )


def summarized(connection: Connection, price_list: str, before: int, after: int) -> Json:
    """Return how much differs between two versions."""
    data = connection.query(SUMMARY, name=price_list, **{"from": before, "to": after})
    summary: Json = found_list(data, price_list)["diff"]["summary"]
    return summary


def told(summary: Json) -> str:
    """Write a summary on one line."""
    return ", ".join(f"{summary[name]:,} {name}" for name in ("added", "removed", "changed", "unchanged")) + "."


def _amount(price: Json | None) -> str | None:
    return f"{price['amount']} {price['currency']}" if price else None


def _also(row: Json) -> str | None:
    if not row["before"] or not row["after"]:
        return None
    return ",".join(name for name in _ALSO if row["before"][name] != row["after"][name]) or None
