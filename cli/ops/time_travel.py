"""`pricebook timeline`, `exposures`: what was shown when."""

import datetime

import click

from cli.client.errors import ApiError
from cli.instants import Instant
from cli.ops.connection import Connection, command, require, require_list
from cli.options import list_argument
from cli.output import Column, Output, time

DEFAULT_DAYS = 30
"""Days that a timeline goes back from its end if its start is not given."""

TIMELINE = """
query Timeline($name: ID!, $sku: ID!, $since: DateTime!, $until: DateTime) {
  snapshot(priceList: $name) {
    version
    history(sku: $sku, first: 2) {
      price { timeline(since: $since, until: $until) { from until version price { amount currency } } }
    }
  }
}"""

EXPOSURES = """
query Exposures($name: ID!, $version: Int!) {
  priceList(name: $name) {
    exposures(version: $version) { from until event { id kind by reason } }
  }
}"""


@command("timeline")
@list_argument
@click.argument("sku")
@click.option(
    "--since", type=Instant(), metavar="INSTANT", help=f"The start; {DEFAULT_DAYS} days before the end if omitted."
)
@click.option("--until", type=Instant(), metavar="INSTANT", help="The end; now if omitted.")
def timeline(
    connection: Connection,
    output: Output,
    price_list: str,
    sku: str,
    since: datetime.datetime | None,
    until: datetime.datetime | None,
) -> None:
    """Show what a sku cost when, rollbacks included, oldest first.

    Each row is a period with the same price; VERSION is the version that was current when it began. Periods of expired
    versions are left out. INSTANT has an offset from UTC, such as 2026-11-29T10:00:00Z.
    """
    start = since or _default_start(until or datetime.datetime.now(datetime.UTC))
    end = until and until.isoformat()
    data = connection.query(TIMELINE, name=price_list, sku=sku, since=start.isoformat(), until=end)
    name = f"current version of a price list {price_list!r}"
    snapshot = require(data["snapshot"], name, "`pricebook lists` shows all price lists.")
    # A version that removed the sku has no price of it, but the one before that has.
    prices = [change["price"] for change in snapshot["history"] if change["price"]]
    if not prices:
        raise ApiError(f"No version up to {snapshot['version']} that is kept has a price of {sku!r}.")
    output.rows(
        prices[0]["timeline"],
        [
            Column("FROM", lambda row: time(row["from"])),
            Column("UNTIL", lambda row: time(row["until"])),
            Column("VERSION", lambda row: row["version"], numeric=True),
            Column("AMOUNT", lambda row: row["price"] and row["price"]["amount"], numeric=True),
            Column("CURRENCY", lambda row: row["price"] and row["price"]["currency"]),
        ],
        f"No version that is kept was current in this time, so nothing is known of {sku}.",
    )


def _default_start(until: datetime.datetime) -> datetime.datetime:
    """Return the start of a timeline without --since. Raises `UsageError` if it is before the year 1."""
    try:
        return until - datetime.timedelta(DEFAULT_DAYS)
    except OverflowError:
        raise click.UsageError(f"{DEFAULT_DAYS} days before --until is before the year 1: give --since.") from None


@command("exposures")
@list_argument
@click.argument("version", type=int)
def exposures(connection: Connection, output: Output, price_list: str, version: int) -> None:
    """Show when a version was current, newest first.

    KIND, BY and REASON are those of the event that made the version current.
    """
    data = connection.query(EXPOSURES, name=price_list, version=version)
    output.rows(
        require_list(data, price_list)["exposures"],
        [
            Column("FROM", lambda row: time(row["from"])),
            Column("UNTIL", lambda row: time(row["until"])),
            Column("KIND", lambda row: row["event"]["kind"]),
            Column("BY", lambda row: row["event"]["by"]),
            Column("REASON", lambda row: row["event"]["reason"]),
        ],
        f"Version {version} of {price_list} has never been current, or does not exist.",
    )
