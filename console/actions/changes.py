"""What an action would change in a price list, as previews show it."""

from nicegui import ui

from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import compare_path
from console.frame.visit import Visit
from console.widgets.parts import Text, link, show_error

CHANGES = """
query ConsoleActionChanges($name: ID!, $from: Int!, $to: Int!, $first: Int!) {
  priceList(name: $name) {
    diff(from: $from, to: $to, first: $first) {
      summary { added removed changed }
      totalCount
      nodes { sku change before { amount currency } after { amount currency } }
    }
  }
}"""

SHOWN_CHANGES = 5
"""Changes that a preview shows; the comparison shows all."""


async def show_changes(visit: Visit, name: str, from_version: int, to_version: int) -> None:
    """Show how one version differs from another.

    An error of the API is shown as well, and not raised: a comparison that fails must not prevent a rollback.
    """
    try:
        data = await visit.api.query(
            CHANGES, name=name, first=SHOWN_CHANGES, **{"from": from_version, "to": to_version}
        )
    except ApiError as error:
        Text("p", "What changes cannot be shown:")
        show_error(error)
        return
    diff = data["priceList"]["diff"]
    Text("p", f"Prices: {summary_text(diff['summary'])}.")
    if diff["nodes"]:
        with ui.element("ul").classes("changes"):
            for each in diff["nodes"]:
                Text("li", change_text(each))
    with ui.element("p"):
        more = diff["totalCount"] - len(diff["nodes"])
        text = f"Compare all {diff['totalCount']:,} changes" if more > 0 else "Compare the versions"
        link(text, compare_path(name, from_version, to_version)).props["target"] = "_blank"


def summary_text(summary: Json) -> str:
    """Return the counts of a `DiffSummary` in words: `3 added, 1 removed, 20 changed`."""
    counts = [f"{summary[kind]:,} {kind}" for kind in ("added", "removed", "changed") if summary[kind]]
    return ", ".join(counts) or "no change"


def change_text(change: Json) -> str:
    """Return a `PriceDiff` in a line: `SKU-1: 9.90 → 12.50 EUR`."""
    before, after = change["before"], change["after"]
    if before is None:
        return f"{change['sku']}: added at {_price(after)}"
    if after is None:
        return f"{change['sku']}: removed, was {_price(before)}"
    if before == after:
        return f"{change['sku']}: {_price(after)}, with other tiers, validity or attributes"
    start = before["amount"] if before["currency"] == after["currency"] else _price(before)
    return f"{change['sku']}: {start} → {_price(after)}"


def _price(price: Json) -> str:
    return f"{price['amount']} {price['currency']}"
