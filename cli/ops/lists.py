"""`pricebook lists`, `show`, `snapshots`, `history`: the price lists and their versions."""

import datetime

import click

from cli.client import Json
from cli.client.errors import ApiError
from cli.holds import is_scheduled
from cli.instants import Instant
from cli.ops.connection import Connection, command, limit_option, require, require_list
from cli.options import list_argument
from cli.output import Column, Output, time

LISTS = """
query Lists($first: Int!, $after: String) {
  priceLists(first: $first, after: $after) {
    nodes {
      name description currentVersion pin { version reason by at }
      current { size publishedAt label }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""

SHOW = """
query Show($name: ID!) {
  priceList(name: $name) {
    name description currentVersion nextChangeAt
    pin { version reason by at }
    current { version size state label createdAt publishedAt batch { id submittedBy } }
    gates { maxShrinkPercent maxChangedPercent maxPriceChangePercent allowedCurrencies minSize }
    retention { versions days thin }
  }
  batches(priceList: $name, state: HELD, first: 100) {
    nodes { id publishAt release { id } }
    pageInfo { hasNextPage }
  }
}"""

SHOW_AS_OF = """
query ShowAsOf($name: ID!, $instant: DateTime!) {
  snapshot(priceList: $name, asOf: $instant) {
    version size state label createdAt publishedAt batch { id submittedBy }
  }
}"""

SNAPSHOTS = """
query Snapshots($name: ID!, $first: Int!, $after: String) {
  priceList(name: $name) {
    currentVersion
    pin { version }
    snapshots(first: $first, after: $after) {
      nodes { version state size label createdAt publishedAt batch { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""

HISTORY = """
query History($name: ID!, $version: Int, $sku: ID!, $first: Int!) {
  snapshot(priceList: $name, version: $version) {
    version
    history(sku: $sku, first: $first) {
      version publishedAt
      price { amount currency tiers { minQuantity amount } validFrom validUntil attributes }
    }
  }
}"""


@command("lists")
@limit_option(200)
def lists(connection: Connection, output: Output, limit: int) -> None:
    """Show all price lists.

    Includes the current version of each, and whether it is pinned.
    """
    output.rows(
        connection.pages(lambda data: data["priceLists"], LISTS, limit),
        [
            Column("LIST", lambda row: row["name"]),
            Column("VERSION", lambda row: row["currentVersion"], numeric=True),
            Column("PRICES", lambda row: row["current"] and row["current"]["size"], numeric=True),
            Column("PUBLISHED", lambda row: row["current"] and time(row["current"]["publishedAt"])),
            Column("PINNED", lambda row: "pinned" if row["pin"] else None),
            Column("LABEL", lambda row: row["current"] and row["current"]["label"]),
        ],
        "There are no price lists.",
    )


@command("show")
@list_argument
@click.option(
    "--as-of",
    type=Instant(),
    metavar="INSTANT",
    help="Show only the version that was current at an instant, such as 2026-11-29T10:00:00Z.",
)
def show(connection: Connection, output: Output, price_list: str, as_of: datetime.datetime | None) -> None:
    """Show the state of a price list.

    Includes its current version, pin, gates, retention, the batches that wait for a review, those that wait in a
    release, and the scheduled ones.
    """
    if as_of is not None:
        _show_version_as_of(connection, output, price_list, as_of)
        return
    data = connection.query(SHOW, name=price_list)
    shown = require_list(data, price_list)
    held = data["batches"]["nodes"]
    in_release = [batch["id"] for batch in held if batch["release"]]
    scheduled = [batch["id"] for batch in held if not batch["release"] and is_scheduled(batch)]
    waiting = [batch["id"] for batch in held if batch["id"] not in {*in_release, *scheduled}]
    more = " and more" if data["batches"]["pageInfo"]["hasNextPage"] else ""
    current, pin = shown["current"] or {}, shown["pin"]
    retention = shown["retention"]
    gates = ", ".join(f"{name} {value}" for name, value in shown["gates"].items() if value is not None)
    output.record(
        {**shown, "waiting": waiting, "scheduled": scheduled, "inRelease": in_release},
        [
            ("list", shown["name"]),
            ("description", shown["description"]),
            ("version", shown["currentVersion"] or "none yet"),
            ("prices", current.get("size")),
            ("label", current.get("label")),
            ("published", time(current.get("publishedAt"))),
            ("batch", current.get("batch") and f"{current['batch']['id']} by {current['batch']['submittedBy']}"),
            ("pinned", pin and f"at {pin['version']} by {pin['by']}, {time(pin['at'])}: {pin['reason']}"),
            ("gates", gates or "none"),
            ("keeps", _kept(retention)),
            ("waiting", (" ".join(waiting) + more) or None),
            ("scheduled", (" ".join(scheduled) + more) or None),
            ("in release", (" ".join(in_release) + more) or None),
            ("next change", time(shown["nextChangeAt"])),
        ],
    )


def _show_version_as_of(connection: Connection, output: Output, price_list: str, instant: datetime.datetime) -> None:
    data = connection.query(SHOW_AS_OF, name=price_list, instant=instant.isoformat())
    version = require(
        data["snapshot"],
        f"version of {price_list!r} that was current at {time(instant.isoformat())}",
        f"`pricebook events {price_list}` shows when versions became current.",
    )
    output.record(
        version,
        [
            ("list", price_list),
            ("version", version["version"]),
            ("prices", version["size"]),
            ("label", version["label"]),
            ("created", time(version["createdAt"])),
            ("published", time(version["publishedAt"])),
            ("batch", version["batch"] and f"{version['batch']['id']} by {version['batch']['submittedBy']}"),
        ],
    )


def _kept(retention: Json) -> str:
    fewer = ", thinned by age" if retention["thin"] else ""
    return f"the newest {retention['versions']} versions, and those of the last {retention['days']} days{fewer}"


@command("snapshots")
@list_argument
@limit_option(50)
def snapshots(connection: Connection, output: Output, price_list: str, limit: int) -> None:
    """Show the versions of a price list that are kept, newest first.

    The column POINTER marks the current version, and whether it is pinned. The JSON also has the time at which each
    version was created, and its batch.
    """
    output.rows(
        connection.pages(lambda data: _marked(require_list(data, price_list)), SNAPSHOTS, limit, name=price_list),
        [
            Column("VERSION", lambda row: row["version"], numeric=True),
            Column("STATE", lambda row: row["state"]),
            Column("POINTER", lambda row: ",".join(name for name in ("current", "pinned") if row[name])),
            Column("PRICES", lambda row: row["size"], numeric=True),
            Column("PUBLISHED", lambda row: time(row["publishedAt"])),
            Column("LABEL", lambda row: row["label"]),
        ],
        f"{price_list} has no versions.",
    )


def _marked(price_list: Json) -> Json:
    """Return the page of versions, each marked with whether it is current, and pinned."""
    page, pin = price_list["snapshots"], price_list["pin"]
    marks = {"current": price_list["currentVersion"], "pinned": pin and pin["version"]}
    nodes = [{**each, **{name: each["version"] == marks[name] for name in marks}} for each in page["nodes"]]
    return {**page, "nodes": nodes}


@command("history")
@list_argument
@click.argument("sku")
@click.option("--version", type=int, metavar="N", help="Go back from this version instead of the current one.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    metavar="N",
    help="Maximum number of changes.",
)
def history(connection: Connection, output: Output, price_list: str, sku: str, version: int | None, limit: int) -> None:
    """Show the history of a price.

    Lists the versions that changed the price of the sku, newest first; also those that removed it, and when.
    """
    data = connection.query(HISTORY, name=price_list, sku=sku, version=version, first=limit)
    name = f"version {version} of {price_list!r}" if version else f"current version of a price list {price_list!r}"
    snapshot = require(data["snapshot"], name, "`pricebook lists` shows all price lists.")
    if not snapshot["history"]:
        raise ApiError(f"No version up to {snapshot['version']} that is kept has a price of {sku!r}.")
    output.rows(
        snapshot["history"],
        [
            Column("VERSION", lambda row: row["version"], numeric=True),
            Column("PUBLISHED", lambda row: time(row["publishedAt"])),
            Column("AMOUNT", lambda row: row["price"] and row["price"]["amount"], numeric=True),
            Column("CURRENCY", lambda row: row["price"] and row["price"]["currency"]),
            Column("NOTE", lambda row: None if row["price"] else "removed"),
        ],
        "The price has no history.",
    )
