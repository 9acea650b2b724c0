"""Entries of the audit log: their text, and their row in a table."""

from console.client import Json
from console.frame.viewer import Viewer
from console.widgets.tables import Column, cell, time_cell

EVENT_FIELDS = "id kind at by reason version fromVersion toVersion"
"""The fields of an `Event` that these functions take."""

EVENT_COLUMNS = (Column("at", "When"), Column("what", "What"), Column("by", "By"), Column("reason", "Reason"))

_SENTENCES = {
    "CREATED": "Created the list",
    "UPDATED": "Changed the description, gates or retention",
    "DELETED": "Deleted the list",
    "PUBLISHED": "Published version {version}",
    "PINNED": "Pinned version {version}",
    "UNPINNED": "Unpinned version {version}",
    "HELD": "Held version {version}",
    "APPROVED": "Approved version {version}",
    "REJECTED": "Rejected version {version}",
    "ABORTED": "Aborted a batch",
    "FAILED": "A batch failed",
    "RETIRED": "Version {version} expired",
    "RESTORED": "Restored version {version}",
    "PREVIEW_GRANTED": "Granted a preview of version {version}",
    "PREVIEW_REVOKED": "Revoked the previews of version {version}",
    "RESCHEDULED": "Rescheduled version {version}",
    "KEPT": "Changed how long version {version} is kept",
}


def event_text(event: Json) -> str:
    """Return what an `Event` did: `Rolled back from version 30 to 29`. It needs its kind and versions."""
    kind: str = event["kind"]
    version: int | None = event["version"]
    if kind == "ROLLED_BACK":
        return f"Rolled back from version {event['fromVersion']} to {event['toVersion']}"
    sentence = _SENTENCES.get(kind, kind.capitalize().replace("_", " "))
    if version is None:
        return sentence.replace(" of version {version}", "").replace("version {version}", "a batch")
    return sentence.format(version=version)


def event_row(viewer: Viewer, event: Json) -> Json:
    """Return the row of an `Event`, for `EVENT_COLUMNS`."""
    return {
        "id": event["id"],
        "at": time_cell(viewer, event["at"]),
        "what": cell(event_text(event)),
        "by": cell(event["by"]),
        "reason": cell(event["reason"] or ""),
    }
