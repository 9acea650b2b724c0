"""What an entry of the audit log says, in words."""

from console.client import Json

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
