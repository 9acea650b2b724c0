"""The instant at which a scheduled batch is published, and the findings about it."""

import datetime
from collections.abc import Iterable

from storage.catalog.gates import GateFinding, Severity
from storage.errors import Refused

SCHEDULE_GATE = "schedule"
"""The gate name of the finding that holds a batch until it is due, and of those about a schedule that has ended."""

MAX_DAYS_AHEAD = 366
"""How far ahead a batch can be scheduled, in days."""


class InvalidPublishAt(Refused):
    """The batch cannot be published at this instant."""

    code = "INVALID_PUBLISH_AT"

    def __init__(self, message: str) -> None:
        super().__init__(message, path=("input", "publishAt"))


def check_offset(publish_at: datetime.datetime | None) -> None:
    """Raise `InvalidPublishAt` for a time without an offset from UTC, which names no instant."""
    if publish_at is None:
        return
    if publish_at.utcoffset() is None:
        raise InvalidPublishAt(
            f"publishAt is {publish_at.isoformat()}, which has no offset from UTC. Send an instant such as "
            "`2026-11-28T00:00:00+01:00`: a local time is missing, or happens twice, when the clocks change."
        )
    try:
        publish_at.astimezone(datetime.UTC)
    except OverflowError as error:
        raise InvalidPublishAt(f"publishAt is {publish_at.isoformat()}. Send an instant within a year.") from error


def check_publish_at(publish_at: datetime.datetime | None, now: datetime.datetime) -> None:
    """Raise `InvalidPublishAt` for an instant that is past, or too far ahead, at the time `now` of the database."""
    if publish_at is None:
        return
    if publish_at <= now:
        raise InvalidPublishAt(
            f"publishAt is {instant_text(publish_at)}, but it is {instant_text(now)} by the clock of MongoDB already. "
            "Send a later instant."
        )
    if publish_at > now + datetime.timedelta(days=MAX_DAYS_AHEAD):
        raise InvalidPublishAt(
            f"publishAt is {instant_text(publish_at)}, more than {MAX_DAYS_AHEAD} days ahead. Send an earlier instant."
        )


def in_milliseconds(instant: datetime.datetime) -> datetime.datetime:
    """Return an instant in UTC as it is stored: in milliseconds."""
    utc = instant.astimezone(datetime.UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def instant_text(instant: datetime.datetime) -> str:
    """Return an instant in UTC as messages show it."""
    text = instant.astimezone(datetime.UTC).isoformat(timespec="milliseconds")
    return text.replace(".000", "").replace("+00:00", "Z")


def scheduled_finding(publish_at: datetime.datetime) -> GateFinding:
    """Return the finding that holds a batch until it is due."""
    message = f"The batch is scheduled: it is published at {instant_text(publish_at)}."
    return GateFinding(SCHEDULE_GATE, Severity.HOLD, message)


def ended_finding(message: str, severity: Severity = Severity.INFO) -> GateFinding:
    """Return the finding of a batch that is not scheduled any more."""
    return GateFinding(SCHEDULE_GATE, severity, message)


def without_schedule(findings: Iterable[GateFinding]) -> list[GateFinding]:
    """Return the findings that are not about a schedule."""
    return [finding for finding in findings if finding.gate != SCHEDULE_GATE]
