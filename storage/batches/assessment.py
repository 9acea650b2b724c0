"""Assessing a sealed batch against the current version of its list: whether it is published, held or rejected."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from storage.batches.batch import Batch, PublishPolicy, Refusal
from storage.batches.comparison import BaseMoved, Comparison
from storage.batches.publish_time import scheduled_finding, without_schedule
from storage.catalog.gates import Facts, GateFinding, Severity, judge
from storage.catalog.price_lists import PriceList
from storage.catalog.snapshots import Snapshot
from storage.errors import BatchSuperseded, Conflict, Refused

PIN_GATE = "pin"
"""The gate name of the finding that holds a batch while its list is pinned."""


EXPECTED_VERSION_GATE = "expectedVersion"
"""The gate name of the finding that holds a scheduled batch because another version is current when it is due."""

APPROVAL_GATE = "onApproval"
"""The gate name of the finding that holds a batch because it was sent with `publish: ON_APPROVAL`."""


class LatestHeld(Refused):
    """The newest batch held by a pin cannot be published with the unpin, because it needs a review."""

    code = "BATCH_HELD"

    def __init__(self, batch: str, reason: str) -> None:
        super().__init__(
            f"Batch {batch}, the newest held by the pin, cannot be published on the current version: {reason} "
            "Nothing was changed. Reject it, or unpin without publishLatest and approve it."
        )


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
        return bool(self._holds)

    @property
    def is_held_by_pin(self) -> bool:
        """Whether nothing but a pin of the list holds the batch."""
        return self._holds == {PIN_GATE}

    @property
    def _holds(self) -> set[str]:
        return {finding.gate for finding in self.findings if finding.severity is Severity.HOLD}


def assess(
    batch: Batch,
    comparison: Comparison | None,
    price_list: PriceList,
    base: Snapshot | None,
    waits_for: Sequence[GateFinding] = (),
) -> Assessment:
    """Assess a sealed batch against `base`, the current version; `waits_for` holds it as well. Raises `BaseMoved`."""
    facts = facts_of(batch, comparison, base)
    found = judge(price_list.gates, facts)
    findings = [*batch.findings, *found, *waits_for, *_holds(batch, price_list)]
    return Assessment(price_list.current_version, facts, findings, _refusal(batch, price_list, found))


def facts_of(batch: Batch, comparison: Comparison | None, base: Snapshot | None) -> Facts:
    """Return what a batch does to the version `base`. Raises `BaseMoved` unless it was compared with that."""
    if comparison is None or not comparison.compares(batch, base):
        raise BaseMoved(batch, base)
    summary = comparison.summary(base)
    return Facts(
        base_size=base.size if base else None,
        size=summary.added + summary.changed + summary.unchanged,
        summary=summary,
        currencies=comparison.currencies,
        largest_change=comparison.changes.largest_change,
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


def objections_when_due(batch: Batch, price_list: PriceList, facts: Facts) -> list[GateFinding]:
    """Return what holds a scheduled batch that is due: it is not rejected any more, so every finding holds it.

    Gates of the list that had findings when it was approved do not hold it, nor does the need of an approval. The
    expected version and a pin do.
    """
    approved = {APPROVAL_GATE, *batch.approval.gates} if batch.approval else set()
    found = [replace(finding, severity=Severity.HOLD) for finding in judge(price_list.gates, facts)]
    try:
        price_list.expect(batch.expected_version)
    except Conflict as conflict:
        found.append(GateFinding(EXPECTED_VERSION_GATE, Severity.HOLD, conflict.message))
    objections = [*found, *without_schedule(_holds(batch, price_list))]
    return [finding for finding in objections if finding.gate not in approved]


def check_not_superseded(batch: Batch, price_list: PriceList) -> None:
    """Raise `BatchSuperseded` for a held batch that an unpin superseded, and that is not rejected yet."""
    before = price_list.superseded_before
    if before is not None and batch.held_by_pin and batch.version is not None and batch.version < before:
        raise BatchSuperseded(batch.id)


def _holds(batch: Batch, price_list: PriceList) -> list[GateFinding]:
    """Return what holds a batch besides its gates."""
    holds = []
    if batch.publish_at and not batch.release:
        holds.append(scheduled_finding(batch.publish_at))
    if batch.publish is PublishPolicy.ON_APPROVAL:
        holds.append(GateFinding(APPROVAL_GATE, Severity.HOLD, "The batch was sent with publish: ON_APPROVAL."))
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
