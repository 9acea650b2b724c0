"""Findings of `storage.integrity.check`: each has a stable code, and advice on what to do next."""

from dataclasses import dataclass
from enum import StrEnum


class FindingCode(StrEnum):
    """The kinds of findings."""

    LIST_MISSING = "LIST_MISSING"
    POINTER_TO_MISSING = "POINTER_TO_MISSING"
    POINTER_TO_RETIRED = "POINTER_TO_RETIRED"
    POINTER_TO_UNPUBLISHED = "POINTER_TO_UNPUBLISHED"
    POINTER_TO_UNSEALED = "POINTER_TO_UNSEALED"
    POINTER_BEHIND = "POINTER_BEHIND"
    POINTER_UNEXPLAINED = "POINTER_UNEXPLAINED"
    PIN_ELSEWHERE = "PIN_ELSEWHERE"
    NEXT_CHANGE_WRONG = "NEXT_CHANGE_WRONG"
    REPLACED_AT_WRONG = "REPLACED_AT_WRONG"
    EVENTS_MISSING = "EVENTS_MISSING"
    VERSION_UNSEALED = "VERSION_UNSEALED"
    VERSION_SIZE_WRONG = "VERSION_SIZE_WRONG"
    VERSION_BATCH_WRONG = "VERSION_BATCH_WRONG"
    LAYER_MISSING = "LAYER_MISSING"
    LAYER_CHANGED = "LAYER_CHANGED"
    LAYER_NOT_SEALED = "LAYER_NOT_SEALED"
    LAYER_ORPHANED = "LAYER_ORPHANED"
    BLOCK_DAMAGED = "BLOCK_DAMAGED"
    BLOCK_MISSING = "BLOCK_MISSING"
    BLOCK_SURPLUS = "BLOCK_SURPLUS"
    STAGING_ORPHANED = "STAGING_ORPHANED"
    FORMAT_UNKNOWN = "FORMAT_UNKNOWN"
    DOCUMENT_UNREADABLE = "DOCUMENT_UNREADABLE"


_ROLL_BACK = "Roll back to a sound version: `pricebook rollback {list} VERSION --reason ...`."
_LAYER = (
    "Roll back to a version without this layer. Then restore the collection layer.{layer} of the layers' database, "
    "whose name ends with `_layers`, from a backup; without a backup, send the prices again as a REPLACE."
)
_LAYERS_DB = 'db.getSiblingDB(db.getName() + "_layers")'
_RESTORE = 'Restore it from a backup: docs/backup.md, "Back up and restore".'
_FOREIGN_WRITE = "Find out who wrote to MongoDB without Pricebook. "

_ADVICE = {
    FindingCode.LIST_MISSING: f"Its document in price_lists is missing. {_RESTORE}",
    FindingCode.POINTER_TO_MISSING: _ROLL_BACK,
    FindingCode.POINTER_TO_RETIRED: _ROLL_BACK,
    FindingCode.POINTER_TO_UNPUBLISHED: _ROLL_BACK,
    FindingCode.POINTER_TO_UNSEALED: _ROLL_BACK,
    FindingCode.POINTER_BEHIND: (
        "This happens when collections that were dumped at different times are restored; nothing can be published. "
        "Restore a dump that was made as in docs/backup.md."
    ),
    FindingCode.POINTER_UNEXPLAINED: (
        f"{_FOREIGN_WRITE}`pricebook events {{list}}` shows what was current; roll back or pin to the right version."
    ),
    FindingCode.PIN_ELSEWHERE: f"{_FOREIGN_WRITE}Pin the right version, or unpin.",
    FindingCode.NEXT_CHANGE_WRONG: (
        f"{_FOREIGN_WRITE}Caches go by it; batches are still published when they are due. It is set again "
        "when a batch of the list is scheduled: `pricebook reschedule` does that."
    ),
    FindingCode.REPLACED_AT_WRONG: (
        f"{_FOREIGN_WRITE}Retention counts from it; the prices are not affected. It is set again when another "
        f"version becomes current after this one. {_RESTORE}"
    ),
    FindingCode.EVENTS_MISSING: (
        f"{_FOREIGN_WRITE}The prices are not affected; the audit trail is. A backup may have the events."
    ),
    FindingCode.VERSION_UNSEALED: f"{_FOREIGN_WRITE}Do not roll back to this version.",
    FindingCode.VERSION_SIZE_WRONG: (
        f"{_FOREIGN_WRITE}Its layers and prices are sound; its size and `totalCount` are wrong. Restore its manifest "
        "from a backup, or send the prices again as a REPLACE."
    ),
    FindingCode.VERSION_BATCH_WRONG: f"{_FOREIGN_WRITE}The prices are those that were sealed. {_RESTORE}",
    FindingCode.LAYER_MISSING: _LAYER,
    FindingCode.LAYER_CHANGED: _LAYER,
    FindingCode.BLOCK_DAMAGED: f"Other blocks are sound; reads of this one fail or miss prices. {_LAYER}",
    FindingCode.BLOCK_MISSING: f"Other blocks are sound; reads of this one fail. {_LAYER}",
    FindingCode.BLOCK_SURPLUS: f"{_FOREIGN_WRITE}The prices are not affected: it is never read.",
    FindingCode.LAYER_NOT_SEALED: (
        f'If it has no other finding, seal it again: {_LAYERS_DB}.runCommand({{{{collMod: "layer.{{layer}}", '
        'validator: {{$nor: [{{}}]}}, validationLevel: "strict", validationAction: "error"}}).'
    ),
    FindingCode.LAYER_ORPHANED: (
        "It cannot be read and takes space. Running servers drop such layers: check that one runs. If the layer stays, "
        f'drop it: {_LAYERS_DB}.getCollection("layer.{{layer}}").drop().'
    ),
    FindingCode.STAGING_ORPHANED: (
        "It takes space. Running servers drop such collections: check that one runs. If it stays, drop it."
    ),
    FindingCode.FORMAT_UNKNOWN: "A later release wrote it. Check with that release.",
    FindingCode.DOCUMENT_UNREADABLE: f"{_FOREIGN_WRITE}{_RESTORE}",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """An inconsistency. `message` describes it, `advice` the remedy."""

    code: FindingCode
    message: str
    price_list: str | None = None
    version: int | None = None
    layer: str | None = None

    @property
    def advice(self) -> str:
        """The remedy, with the names of the list and the layer."""
        return _ADVICE[self.code].format(list=self.price_list, layer=self.layer)
