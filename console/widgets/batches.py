"""Batches in words: what holds one, what it changes, and what it is compared with."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from nicegui import ui

from console.client import Json
from console.frame.paths import compare_path, release_path
from console.frame.viewer import Viewer, age, utc
from console.widgets.parts import Text, badge, fact, link, time
from console.widgets.versions import SUMMARY_FIELDS, move_text

BATCH_FIELDS = f"""
id priceList state mode version label publishAt baseVersion
findings {{ gate severity message observed limit }}
summary {{ {SUMMARY_FIELDS} }}
release {{ id name }}
rebased {{ baseVersion }}"""
"""The fields of a `Batch` that these functions take."""

STATES = {
    "OPEN": ("being sent", "muted"),
    "SEALING": ("being sealed", "muted"),
    "HELD": ("held", "warn"),
    "PUBLISHED": ("published", "good"),
    "REJECTED": ("rejected", "bad"),
    "ABORTED": ("aborted", "muted"),
    "FAILED": ("failed", "bad"),
}
"""The text and the tone of each state."""

IN_PROGRESS = frozenset({"OPEN", "SEALING"})

_GATES = {
    "maxShrinkPercent": "Too many prices fewer",
    "maxChangedPercent": "Too many prices change",
    "maxPriceChangePercent": "A price changes too much",
    "allowedCurrencies": "Currency not allowed",
    "minSize": "Too few prices",
    "pin": "The list is pinned",
    "onApproval": "Sent for approval",
    "expectedVersion": "Another version is current",
    "release": "In a release",
    "schedule": "Schedule",
    "approved": "Approved",
    "layers": "Waited for compaction",
}

_TONES = {"REJECT": "bad", "HOLD": "warn", "INFO": "muted"}


class Wait(NamedTuple):
    """A release or an instant that a held batch waits for: its text and where it leads, if anywhere."""

    text: str
    href: str | None


def gate_text(gate: str) -> str:
    """Return a gate in words; one that is unknown here by its name."""
    return _GATES.get(gate, gate)


def measure_text(finding: Json) -> str:
    """Return what a gate observed and allows, such as `34 %, limit 20 %`; empty if the finding has no numbers."""
    observed, limit = finding["observed"], finding["limit"]
    if observed is None or limit is None or finding["gate"] == "allowedCurrencies":
        return ""
    unit = " %" if finding["gate"].endswith("Percent") else ""
    return f"{_number(observed)}{unit}, limit {_number(limit)}{unit}"


def shown_findings(batch: Json) -> list[Json]:
    """Return the findings of a batch, without those that its schedule and its release explain."""
    explained = {"schedule"} if batch["publishAt"] else set()
    explained |= {"release"} if batch["release"] else set()
    return [each for each in batch["findings"] if each["gate"] not in explained or each["severity"] != "HOLD"]


def needs_decision(batch: Json) -> bool:
    """Whether somebody has to decide about a held batch.

    One that waits for its instant or its release needs that only if something would stand against it then.
    """
    if not batch["publishAt"] and not batch["release"]:
        return True
    is_approved = any(each["gate"] == "approved" for each in batch["findings"])
    holds = {each["gate"] for each in shown_findings(batch) if each["severity"] == "HOLD"}
    return bool(holds & {"pin"} if is_approved else holds)


def waits(batch: Json) -> list[Wait]:
    """Return what a held batch waits for: its release, its instant."""
    release, at = batch["release"], batch["publishAt"]
    found = [Wait(f"in release {release['name']}", release_path(release["id"]))] if release else []
    return [*found, Wait(scheduled_text(at), None)] if at else found


def scheduled_text(instant: str) -> str:
    """Return when something is published: `scheduled in 2 d`."""
    text = age(instant)
    return f"scheduled {text}" if text.startswith("in ") else "due now"


def held_move_text(batch: Json) -> str:
    """Return the change that a held batch makes now. It gets a new version if its list has moved since."""
    current: int | None = batch["rebased"]["baseVersion"]
    return f"version {current} → a new one" if is_outdated(batch) else move_text(current, batch["version"])


def compared_version(batch: Json) -> int | None:
    """Return the version to compare a sealed batch with, to see what it changes; None if there is none.

    That is the current version for a held batch which replaces the list. A merge was applied to `baseVersion`: compared
    with any other version, it would seem to undo what was published since.
    """
    version: int | None = batch["baseVersion"]
    if batch["rebased"] and batch["mode"] == "REPLACE":
        version = batch["rebased"]["baseVersion"]
    return version if batch["version"] is not None else None


def compare_href(batch: Json) -> str | None:
    """Return the path of the comparison that shows what a batch changes; None if there is nothing to compare."""
    version = compared_version(batch)
    if version is None or batch["state"] not in {"HELD", "PUBLISHED"}:
        return None
    return compare_path(batch["priceList"], version, batch["version"])


def is_outdated(batch: Json) -> bool:
    """Whether another version is current than the one that the summary of a held batch compares with."""
    return bool(batch["rebased"]) and batch["rebased"]["baseVersion"] != batch["baseVersion"]


def served_text(served: Json | None) -> str:
    """Return how many processes serve a version; empty for None."""
    return f"by {served['by']} of {served['of']} processes" if served else ""


def served_tone(served: Json) -> str:
    """Return the tone of that number: `good` once all serve it."""
    return "good" if served["by"] >= served["of"] > 0 else "warn"


def served_fact(served: Json | None) -> None:
    """Show how many processes serve a version, if that is known."""
    if served:
        fact("Served", served_text(served), tone=served_tone(served))


def show_schedule(viewer: Viewer, publish_at: str | None) -> None:
    """Show when a batch or a release is due, before it gets another schedule."""
    with ui.element("p"):
        if publish_at:
            Text("span", "Now due ")
            time(viewer, publish_at)
        else:
            Text("span", "It has no schedule yet.")


def show_findings(findings: Iterable[Json]) -> None:
    """Show findings: the gate, what it observed and allows, and its message."""
    with ui.element("ul").classes("findings"):
        for each in findings:
            with ui.element("li"):
                badge(gate_text(each["gate"]), _TONES.get(each["severity"], "muted"))
                if measure := measure_text(each):
                    Text("strong", measure)
                Text("span", each["message"])


def show_waits(batch: Json) -> None:
    """Show badges with what a held batch waits for."""
    for wait in waits(batch):
        with ui.element("span").classes("badge muted") as element:
            if wait.href:
                link(wait.text, wait.href)
            else:
                Text("span", wait.text)
                element.props["title"] = utc(batch["publishAt"])


def state_badge(state: str) -> Text:
    """Show the state of a batch."""
    return badge(*STATES.get(state, (state.lower(), "muted")))


def sent_text(viewer: Viewer, batch: Json) -> str:
    """Return who sent a batch and when."""
    return f"sent {age(batch['createdAt'])} by {batch['submittedBy']}, {viewer.time(batch['createdAt'])}"


def _number(text: str) -> str:
    """Return a decimal with separators of thousands, and without zeros at its end."""
    number = Decimal(text)
    return f"{int(number):,}" if number == number.to_integral_value() else f"{number.normalize():,f}"
