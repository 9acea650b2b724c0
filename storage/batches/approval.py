"""Approving a held batch that is published later: when it is due, or with its release."""

from storage.batches.batch import Approval, Batch
from storage.catalog.gates import GATES, Severity

APPROVED_GATE = "approved"
"""The gate name of the finding of a batch that was approved and kept its schedule, or waits for its release."""


def approval_of(batch: Batch, by: str, reason: str) -> Approval:
    """Return the approval of a batch: the gates that hold it now do not hold it later."""
    known = {finding.gate for finding in batch.findings if finding.severity is Severity.HOLD}
    return Approval(by, reason, tuple(sorted(known.intersection(gate.name for gate in GATES))))
