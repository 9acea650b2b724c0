"""Assessing a sealed batch against the current version of its list: whether it is published, held or rejected."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.batches.repository import PIN_GATE, Batch, PublishPolicy, Refusal
from storage.catalog.gates import DiffSummary, Facts, GateFinding, Severity, judge
from storage.catalog.price_lists import PriceList
from storage.catalog.snapshots import Snapshot
from storage.errors import Conflict, LatestHeld
from storage.layers.diff import Changes


@dataclass(frozen=True, slots=True)
class Comparison:
    """The changes of a batch to the version `base`, None for a list without a version; and its currencies.

    The prices of a version never change, so this stays true although a compaction replaces its layers.
    """

    base: int | None
    changes: Changes
    currencies: frozenset[str]


class BaseMoved(Exception):
    """A batch was not compared with `base`, the current version. Compare it, and publish again."""

    def __init__(self, batch: Batch, base: Snapshot | None) -> None:
        super().__init__(batch.id)
        self.batch = batch
        self.base = base


@dataclass(frozen=True, slots=True)
class Assessment:
    """The facts of a batch against the version `base`, all findings, and why it is rejected, if it is."""

    base: int | None
    facts: Facts
    findings: Sequence[GateFinding]
    refusal: Refusal | None

    @property
    def batch_fields(self) -> dict[str, Any]:
        """The fields that are stored with the batch."""
        return {"summary": self.facts.summary, "base": self.base, "findings": self.findings}

    @property
    def is_held(self) -> bool:
        """Whether any finding holds the batch."""
        return any(finding.severity is Severity.HOLD for finding in self.findings)


def assess(batch: Batch, comparison: Comparison, price_list: PriceList, base: Snapshot | None) -> Assessment:
    """Assess a sealed batch against `base`, the current version. Raises `BaseMoved`."""
    facts = facts_of(batch, comparison, base)
    found = judge(price_list.gates, facts)
    findings = [*batch.findings, *found, *_holds(batch, price_list)]
    return Assessment(price_list.current_version, facts, findings, _refusal(batch, price_list, found))


def facts_of(batch: Batch, comparison: Comparison | None, base: Snapshot | None) -> Facts:
    """Return what a batch does to the version `base`. Raises `BaseMoved` unless it was compared with that."""
    if comparison is None or comparison.base != (base.version if base else None):
        raise BaseMoved(batch, base)
    changes, before = comparison.changes, base.size if base else 0
    size = before + changes.added - changes.removed
    return Facts(
        base_size=base.size if base else None,
        size=size,
        summary=DiffSummary(changes.added, changes.removed, changes.changed, size - changes.added - changes.changed),
        currencies=comparison.currencies,
        largest_change=changes.largest_change,
    )


def check_publishable(batch: Batch, price_list: PriceList, facts: Facts) -> None:
    """Raise `LatestHeld` if a gate or the expected version is against publishing a batch now."""
    objections = [finding.message for finding in judge(price_list.gates, facts)]
    try:
        price_list.expect(batch.expected_version)
    except Conflict as conflict:
        objections.append(conflict.message)
    if objections:
        raise LatestHeld(batch.id, " ".join(objections))


def _holds(batch: Batch, price_list: PriceList) -> list[GateFinding]:
    """Return what holds a batch besides its gates."""
    holds = []
    if batch.publish is PublishPolicy.ON_APPROVAL:
        holds.append(GateFinding("onApproval", Severity.HOLD, "The batch was sent with publish: ON_APPROVAL."))
    if price_list.pin:
        pin = price_list.pin
        message = f"Version {pin.version} is pinned by {pin.by}: {pin.reason}"
        holds.append(GateFinding(PIN_GATE, Severity.HOLD, message))
    return holds


def _refusal(batch: Batch, price_list: PriceList, findings: Sequence[GateFinding]) -> Refusal | None:
    """Return why a batch is rejected, or None."""
    try:
        price_list.expect(batch.expected_version)
    except Conflict as conflict:
        return Refusal(conflict.code, conflict.message)
    rejecting = [finding.message for finding in findings if finding.severity is Severity.REJECT]
    return Refusal("GATE_REJECTED", " ".join(rejecting)) if rejecting else None
