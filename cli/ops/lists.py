"""`pricebook lists`, `show`, `snapshots`, `history`: how price lists stand."""

import click

from cli.ops.connection import Connection, command, found, found_list, limit_option
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
    name description currentVersion
    pin { version reason by at }
    current { version size state label createdAt publishedAt batch { id submittedBy } }
    gates { maxShrinkPercent maxChangedPercent maxPriceChangePercent allowedCurrencies minSize }
    retention { versions days }
  }
  batches(priceList: $name, state: HELD, first: 100) { nodes { id } pageInfo { hasNextPage } }
}"""

SNAPSHOTS = """
query Snapshots($name: ID!, $first: Int!, $after: String) {
  priceList(name: $name) {
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
    price(sku: $sku) {
      history(first: $first) {
        version publishedAt
        price { amount currency tiers { minQuantity amount } validFrom validUntil attributes }
      }
    }
  }
}"""


@command("lists")
@limit_option(200)
def lists(connection: Connection, output: Output, limit: int) -> None:
    """Show all price lists.

    Each with its current version, and whether that is pinned.
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
        "There is no price list.",
    )


@command("show")
@click.argument("price_list", metavar="LIST")
def show(connection: Connection, output: Output, price_list: str) -> None:
    """Show how a price list stands.

    Its current version, its pin, its gates, its retention, and the batches that wait.
    """
    data = connection.query(SHOW, name=price_list)
    shown = found_list(data, price_list)
    waiting = [batch["id"] for batch in data["batches"]["nodes"]]
    more = data["batches"]["pageInfo"]["hasNextPage"]
    current, pin = shown["current"] or {}, shown["pin"]
    retention = shown["retention"]
    gates = ", ".join(f"{name} {value}" for name, value in shown["gates"].items() if value is not None)
    output.one(
        {**shown, "waiting": waiting},
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
            ("keeps", f"the newest {retention['versions']} versions, and each for {retention['days']} days"),
            ("waiting", (" ".join(waiting) + (" and more" if more else "")) or None),
        ],
    )


@command("snapshots")
@click.argument("price_list", metavar="LIST")
@limit_option(50)
def snapshots(connection: Connection, output: Output, price_list: str, limit: int) -> None:
    """Show the versions of a price list that are kept, newest first."""
    output.rows(
        connection.pages(lambda data: found_list(data, price_list)["snapshots"], SNAPSHOTS, limit, name=price_list),
        [
            Column("VERSION", lambda row: row["version"], numeric=True),
            Column("STATE", lambda row: row["state"]),
            Column("PRICES", lambda row: row["size"], numeric=True),
            Column("CREATED", lambda row: time(row["createdAt"])),
            Column("PUBLISHED", lambda row: time(row["publishedAt"])),
            Column("LABEL", lambda row: row["label"]),
        ],
        f"{price_list} has no version yet.",
    )


@command("history")
@click.argument("price_list", metavar="LIST")
@click.argument("sku")
@click.option("--version", type=int, metavar="N", help="Look back from this version; without it, from the current one.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, metavar="N", help="How many changes."
)
def history(connection: Connection, output: Output, price_list: str, sku: str, version: int | None, limit: int) -> None:
    """Show how the price of a sku came about.

    The versions that changed it, newest first.
    """
    data = connection.query(HISTORY, name=price_list, sku=sku, version=version, first=limit)
    at = f" in version {version}" if version else ""
    snapshot = found(data["snapshot"], f"list {price_list!r} with a price{at}", "`pricebook lists` names the lists.")
    advice = "Where an earlier version had it, look back from there, with --version."
    price = found(snapshot["price"], f"price of {sku!r} in version {snapshot['version']}", advice)
    output.rows(
        price["history"],
        [
            Column("VERSION", lambda row: row["version"], numeric=True),
            Column("PUBLISHED", lambda row: time(row["publishedAt"])),
            Column("AMOUNT", lambda row: row["price"] and row["price"]["amount"], numeric=True),
            Column("CURRENCY", lambda row: row["price"] and row["price"]["currency"]),
            Column("NOTE", lambda row: None if row["price"] else "no price"),
        ],
        "Nothing is known.",
    )
