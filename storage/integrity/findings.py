"""Findings: what `storage.integrity.check` says is wrong in a database, each with a stable code and what to do next."""

from dataclasses import dataclass
from enum import StrEnum


class FindingCode(StrEnum):
    """What is wrong."""

    LIST_MISSING = "LIST_MISSING"
    POINTER_TO_MISSING = "POINTER_TO_MISSING"
    POINTER_TO_RETIRED = "POINTER_TO_RETIRED"
    POINTER_TO_UNPUBLISHED = "POINTER_TO_UNPUBLISHED"
    POINTER_TO_UNSEALED = "POINTER_TO_UNSEALED"
    POINTER_BEHIND = "POINTER_BEHIND"
    POINTER_UNEXPLAINED = "POINTER_UNEXPLAINED"
    PIN_ELSEWHERE = "PIN_ELSEWHERE"
    EVENTS_MISSING = "EVENTS_MISSING"
    VERSION_UNSEALED = "VERSION_UNSEALED"
    VERSION_SIZE_WRONG = "VERSION_SIZE_WRONG"
    VERSION_BATCH_WRONG = "VERSION_BATCH_WRONG"
    LAYER_MISSING = "LAYER_MISSING"
    LAYER_COUNT_WRONG = "LAYER_COUNT_WRONG"
    LAYER_CHANGED = "LAYER_CHANGED"
    LAYER_NOT_SEALED = "LAYER_NOT_SEALED"
    LAYER_ORPHANED = "LAYER_ORPHANED"
    FORMAT_UNKNOWN = "FORMAT_UNKNOWN"
    DOCUMENT_UNREADABLE = "DOCUMENT_UNREADABLE"


_BACK = "Roll back to a version that is sound: `pricebook rollback {list} VERSION --reason ...`."
_LAYER = (
    "Versions without this layer are sound: roll back to one, or bring layer.{layer} back from a backup; "
    "then send the prices again as a REPLACE."
)
_RESTORE = 'Bring it back from a backup: docs/backup.md, "Backup and restore".'
_BY_HAND = "Find out who wrote to MongoDB without Pricebook. "

_ADVICE = {
    FindingCode.LIST_MISSING: f"Its document in price_lists is gone. {_RESTORE}",
    FindingCode.POINTER_TO_MISSING: _BACK,
    FindingCode.POINTER_TO_RETIRED: _BACK,
    FindingCode.POINTER_TO_UNPUBLISHED: _BACK,
    FindingCode.POINTER_TO_UNSEALED: _BACK,
    FindingCode.POINTER_BEHIND: (
        "So it is after a restore of collections that were dumped at different times: nothing can be published. "
        "Restore a dump that was made as docs/backup.md says."
    ),
    FindingCode.POINTER_UNEXPLAINED: (
        f"{_BY_HAND}`pricebook events {{list}}` tells what was current; roll back or pin to the version that shall be."
    ),
    FindingCode.PIN_ELSEWHERE: f"{_BY_HAND}Pin the version that shall be current, or unpin.",
    FindingCode.EVENTS_MISSING: (
        f"{_BY_HAND}Prices are not touched by it; who did what is no longer known. A backup may have the events."
    ),
    FindingCode.VERSION_UNSEALED: f"{_BY_HAND}Do not roll back to this version.",
    FindingCode.VERSION_SIZE_WRONG: (
        f"{_BY_HAND}Its layers are sound, so the prices are; its size and `totalCount` are not. Bring its manifest "
        "back from a backup, or send the prices again as a REPLACE."
    ),
    FindingCode.VERSION_BATCH_WRONG: f"{_BY_HAND}The prices are those that were sealed. {_RESTORE}",
    FindingCode.LAYER_MISSING: _LAYER,
    FindingCode.LAYER_COUNT_WRONG: _LAYER,
    FindingCode.LAYER_CHANGED: _LAYER,
    FindingCode.LAYER_NOT_SEALED: (
        'If nothing else is wrong with it, seal it again: db.runCommand({{collMod: "layer.{layer}", '
        'validator: {{$nor: [{{}}]}}, validationLevel: "strict", validationAction: "error"}}).'
    ),
    FindingCode.LAYER_ORPHANED: (
        "Nobody can read it; it takes room. Running servers collect such layers: see that one runs. If it stays, drop "
        'it: db.getCollection("layer.{layer}").drop().'
    ),
    FindingCode.FORMAT_UNKNOWN: "A later release wrote it. Check with that release.",
    FindingCode.DOCUMENT_UNREADABLE: f"{_BY_HAND}{_RESTORE}",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `message` says what it is, `advice` what to do next."""

    code: FindingCode
    message: str
    price_list: str | None = None
    version: int | None = None
    layer: str | None = None

    @property
    def advice(self) -> str:
        """What to do next."""
        return _ADVICE[self.code].format(list=self.price_list, layer=self.layer)
