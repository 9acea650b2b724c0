"""The holds of a batch: the gates of its findings, its schedule, and its release."""

from cli.client import Json

_SCHEDULE = "schedule"
"""The gate of the finding that holds a batch until it is due."""

_RELEASE = "release"
"""The gate of the finding that holds a batch until its release is published."""


def is_scheduled(batch: Json) -> bool:
    """Whether a held batch is published at an instant."""
    return batch["publishAt"] is not None


def holds(batch: Json) -> set[str]:
    """Return the gates that hold a batch, besides its schedule and its release."""
    return {each["gate"] for each in objections(batch) if each["severity"] == "HOLD"}


def objections(batch: Json) -> list[Json]:
    """Return the findings of a batch, except those that it waits for its instant, or for its release."""
    return [each for each in batch["findings"] if each["gate"] not in {_SCHEDULE, _RELEASE}]


def is_about_schedule(finding: Json) -> bool:
    """Whether a finding is about the schedule of its batch."""
    return bool(finding["gate"] == _SCHEDULE)
