"""Batches that are sent with a release: the finding that holds them."""

from storage.catalog.gates import GateFinding, Severity
from storage.catalog.releases import Release
from storage.errors import Refused

RELEASE_GATE = "release"
"""The gate name of the finding that holds a batch until its release is published."""


class BatchInRelease(Refused):
    """The batch is published with its release, so it has no schedule of its own."""

    code = "BATCH_IN_RELEASE"

    def __init__(self, batch: str, release: str) -> None:
        super().__init__(
            f"Batch {batch} is published with release {release}. Schedule the release with scheduleRelease, or reject "
            "the batch and send it without `release`.",
            path=("input", "batch"),
        )


def release_finding(release: Release) -> GateFinding:
    """Return the finding that holds a batch until its release is published."""
    return GateFinding(RELEASE_GATE, Severity.HOLD, f"The batch waits in release {release.name!r} ({release.id}).")
