"""What holds a batch: the gates of its findings, and its schedule."""

from cli.client import Json

_SCHEDULE = "schedule"
"""The gate of the finding that holds a batch until it is due."""


def is_scheduled(batch: Json) -> bool:
    """Whether a held batch is published at an instant."""
    return batch["publishAt"] is not None


def holds(batch: Json) -> set[str]:
    """Return the gates that hold a batch, besides its schedule."""
    return {each["gate"] for each in batch["findings"] if each["severity"] == "HOLD" and not is_about_schedule(each)}


def is_about_schedule(finding: Json) -> bool:
    """Whether a finding is about the schedule of its batch."""
    return bool(finding["gate"] == _SCHEDULE)
