"""The changes that an action would make in a price list, for its preview."""

from nicegui import ui

from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import compare_path
from console.frame.visit import Visit
from console.widgets.batches import is_outdated
from console.widgets.parts import Text, link, show_error
from console.widgets.prices import percent, percent_text, price_text
from console.widgets.versions import SUMMARY_FIELDS, summary_text

SUMMARY = f"""
query ConsoleSummary($name: ID!, $from: Int!, $to: Int!) {{
  priceList(name: $name) {{ diff(from: $from, to: $to, first: 1) {{ summary {{ {SUMMARY_FIELDS} }} }} }}
}}"""

LARGEST = """
query ConsoleLargest($name: ID!, $from: Int!, $to: Int!, $first: Int!) {
  priceList(name: $name) {
    diff(from: $from, to: $to, first: 1) {
      largest(first: $first) { sku before { amount currency } after { amount currency } }
    }
  }
}"""

REBASED = f"""
query ConsoleRebased($id: ID!) {{
  batch(id: $id) {{ rebased {{ summary {{ {SUMMARY_FIELDS} }} }} }}
}}"""

SHOWN_CHANGES = 5
"""Changes that a preview shows, the largest; the comparison shows all."""


async def show_changes(visit: Visit, name: str, before: int, after: int) -> None:
    """Show how one version differs from another.

    An error of the API is shown as well, and not raised: a comparison that fails must not prevent a rollback.
    """
    try:
        Text("p", f"Prices: {await changes_between(visit, name, before, after)}.")
        await _show_largest(visit, name, before, after)
    except ApiError as error:
        Text("p", "Not all that changes can be shown:")
        show_error(error)
    with ui.element("p"):
        link("Compare the versions", compare_path(name, before, after)).props["target"] = "_blank"


async def changes_between(visit: Visit, name: str, before: int, after: int) -> str:
    """Return, in words, how many prices differ between two versions. Raises `ApiError`."""
    found = (await visit.api.query(SUMMARY, **{"name": name, "from": before, "to": after}))["priceList"]
    return summary_text(found and found["diff"]["summary"])


async def changes_now(visit: Visit, batch: Json) -> str:
    """Return, in words, how many prices a batch changes: now, if it is held. Raises `ApiError`."""
    return await rebased_changes(visit, batch["id"]) if is_outdated(batch) else summary_text(batch["summary"])


async def rebased_changes(visit: Visit, batch_id: str) -> str:
    """Return, in words, how many prices a held batch would change now; empty if it is no longer held.

    Raises `ApiError`.
    """
    batch = (await visit.api.query(REBASED, id=batch_id))["batch"]
    rebased = batch and batch["rebased"]
    return summary_text(rebased and rebased["summary"])


async def _show_largest(visit: Visit, name: str, before: int, after: int) -> None:
    variables = {"name": name, "from": before, "to": after, "first": SHOWN_CHANGES}
    found = (await visit.api.query(LARGEST, **variables))["priceList"]
    if found and (largest := found["diff"]["largest"]):
        with ui.element("ul").classes("changes"):
            for each in largest:
                Text("li", change_text(each))


def change_text(difference: Json) -> str:
    """Return a change of an amount in a line: `SKU-1: 9.90 → 12.50 EUR, +26.26 %`."""
    before, after = difference["before"], difference["after"]
    change = percent(before, after)
    text = f"{difference['sku']}: {before['amount']} → {price_text(after)}"
    return f"{text}, {percent_text(change)}" if change else text
