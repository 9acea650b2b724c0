"""Releases in words: their states, what each list has to gain, and what stands against them."""

from console.client import Json
from console.frame.paths import compare_path
from console.widgets.batches import (
    BATCH_FIELDS,
    compare_href,
    gate_text,
    held_move_text,
    is_outdated,
    needs_decision,
    shown_findings,
)
from console.widgets.versions import move_text, summary_text

RELEASE_FIELDS = f"""
id name state publishAt
items {{
  priceList {{ name currentVersion pin {{ version }} }}
  batch {{ {BATCH_FIELDS} }}
  fromVersion
  toVersion
}}"""
"""The fields of a `Release` that these functions take."""

STATES = {
    "OPEN": ("open", "warn"),
    "SCHEDULED": ("scheduled", "warn"),
    "PUBLISHED": ("published", "good"),
    "ROLLED_BACK": ("rolled back", "bad"),
    "DISCARDED": ("discarded", "muted"),
}
"""The text and the tone of each state."""

UNPUBLISHED = frozenset({"OPEN", "SCHEDULED"})


def item_move_text(release: Json, item: Json) -> str:
    """Return the change that a release makes, or made, in a list; empty for one that was never published."""
    if item["batch"]["rebased"] and release["state"] in UNPUBLISHED:
        return held_move_text(item["batch"])
    before, after = item["fromVersion"], item["toVersion"]
    return "" if after is None else move_text(before, after)


def item_compare_href(release: Json, item: Json) -> str | None:
    """Return the path of the comparison that shows what a release changes in a list; None if there is nothing."""
    if release["state"] in UNPUBLISHED:
        return compare_href(item["batch"])
    before, after = item["fromVersion"], item["toVersion"]
    return None if before is None or after is None else compare_path(item["priceList"]["name"], before, after)


def obstacles(item: Json) -> list[str]:
    """Return what would stand against the publication of an item now, in words."""
    pin = ["the list is pinned"] if item["priceList"]["pin"] else []
    if not needs_decision(item["batch"]):
        return pin
    holds = [each for each in shown_findings(item["batch"]) if each["severity"] == "HOLD" and each["gate"] != "pin"]
    return [*pin, *(gate_text(each["gate"]).lower() for each in holds)]


def item_changes(release: Json, item: Json) -> str:
    """Return what a release changes in a list, and whether that was counted with an earlier version."""
    text = summary_text(item["batch"]["summary"])
    if release["state"] in UNPUBLISHED and is_outdated(item["batch"]):
        return f"{text}, compared with version {item['batch']['baseVersion'] or 'none'}"
    return text
