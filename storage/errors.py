"""The errors of storage.

PricebookError
├── Refused                      a request that cannot be fulfilled; repeating it unchanged does not help
│   ├── InvalidArgument
│   │   └── InvalidUntil         see `storage.catalog.version_keeper`
│   ├── ScanLimit
│   ├── PriceListNotFound
│   ├── PriceListExists
│   ├── PriceListBeingRemoved    see `storage.catalog.price_list_editor`
│   ├── PriceListInUse           see `storage.maintenance.deletion`
│   ├── SnapshotNotFound
│   ├── SnapshotExpired
│   │   └── LayerGone
│   ├── SnapshotNeverPublished
│   ├── VersionNotReached
│   ├── BatchNotFound
│   ├── EmptyBatch
│   ├── IdempotencyKeyReused
│   ├── RemoveInReplace
│   ├── BatchNotOpen
│   ├── BatchNotHeld
│   │   └── BatchSuperseded
│   ├── SequenceReused
│   ├── PartsMissing
│   ├── PartsUnexpected
│   ├── SizeMismatch
│   ├── Pinned
│   ├── Conflict
│   ├── AlreadyCurrent
│   ├── NotPinned
│   ├── NotRetired
│   ├── LatestHeld               see `storage.batches.assessment`
│   ├── TooManyOpenBatches       see `storage.batches.admission`
│   ├── TooManyHeldBatches       see `storage.batches.admission`
│   ├── InvalidPublishAt         see `storage.batches.publish_time`
│   ├── NotKept                  see `storage.catalog.version_keeper`
│   ├── BatchConflict            see `storage.batches.unpinning`
│   ├── GatesConflict            see `storage.catalog.price_list_editor`
│   ├── BatchInRelease           see `storage.batches.in_release`
│   ├── ReleaseNotFound          see `storage.catalog.releases`
│   ├── ReleaseNotOpen           see `storage.catalog.releases`
│   ├── ReleaseFull              see `storage.catalog.releases`
│   ├── ReleaseRefused           with what stands against it, list by list: see `storage.releases.errors`
│   ├── ReleaseNotPublished      see `storage.releases.rollback`
│   ├── ApiKeyNotFound           see `storage.catalog.api_keys`
│   ├── TooManyPreviews          see `storage.batches.previews`
│   ├── PreviewNotFound          see `storage.batches.previews`
│   └── FileRefused              files of prices: see `storage.files.errors`
└── Broken                       a fault of the data or the deployment
    ├── Corrupt
    ├── UnknownFormat
    ├── Interrupted
    ├── LeaseLost
    │   └── LayerSealed
    └── Unavailable

Each class has a stable `code`, and each message includes a remedy.
"""

from collections.abc import Sequence
from typing import ClassVar

MAX_SHOWN_CHARACTERS = 80
"""Number of characters of a caller's text that a message repeats."""


def shown(text: str) -> str:
    """Return a caller's text in quotation marks, as a message shows it; a long one is cut."""
    return repr(text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}...")


class PricebookError(Exception):
    """Base class of all errors that Pricebook raises deliberately."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class Refused(PricebookError):
    """The request cannot be fulfilled; repeating it unchanged does not help."""


class InvalidArgument(Refused):
    """An argument is invalid."""

    code = "INVALID_ARGUMENT"


class ScanLimit(Refused):
    """The request would read more rows than the limit allows."""

    code = "SCAN_LIMIT"


class PriceListNotFound(Refused):
    """No price list has this name."""

    code = "PRICE_LIST_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no price list {shown(name)}. Create it with createPriceList.")


class PriceListExists(Refused):
    """A price list with this name already exists."""

    code = "PRICE_LIST_EXISTS"

    def __init__(self, name: str) -> None:
        super().__init__(f"The price list {name!r} already exists. Change it with updatePriceList.")


class SnapshotNotFound(Refused):
    """The price list never had this version."""

    code = "SNAPSHOT_NOT_FOUND"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"The price list {price_list!r} has no version {version}. Query `snapshots` for its versions.")


class SnapshotExpired(Refused):
    """The version has expired."""

    code = "SNAPSHOT_EXPIRED"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"Version {version} of {price_list!r} has expired. Start again from the current version.")


class LayerGone(SnapshotExpired):
    """A layer does not exist: its version has expired, or a compaction has replaced the layer.

    Read the manifest again to tell which.
    """

    def __init__(self, layer: str | None = None) -> None:
        Refused.__init__(self, "The version has expired. Start again from the current version.")
        self.layer = layer


class SnapshotNeverPublished(Refused):
    """The version was sealed but never current, so the list cannot be rolled back to it."""

    code = "SNAPSHOT_NEVER_PUBLISHED"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"Version {version} of {price_list!r} was never current. Approve its batch to publish it.")


class VersionNotReached(Refused):
    """The minimum version that the request asks for was not published in time, as far as this process has seen."""

    code = "VERSION_NOT_REACHED"

    def __init__(self, price_list: str, required: int, latest: int, seconds: float) -> None:
        found = f"version {latest} is the latest" if latest else "it has no version yet"
        super().__init__(
            f"Version {required} of {price_list!r} was not published within {seconds:.0f} s; {found}. "
            "If its batch is PUBLISHED, retry in a moment; otherwise request a lower version."
        )


class BatchNotFound(Refused):
    """No batch has this id."""

    code = "BATCH_NOT_FOUND"

    def __init__(self, batch: str) -> None:
        super().__init__(f"There is no batch {shown(batch)}. Check the id.")


class EmptyBatch(Refused):
    """The batch has no rows."""

    code = "EMPTY_BATCH"

    def __init__(self) -> None:
        super().__init__("The batch has no prices. Send at least one price.", path=("input", "prices"))


class IdempotencyKeyReused(Refused):
    """The idempotency key belongs to a batch with different content."""

    code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, key: str, batch: str) -> None:
        super().__init__(
            f"The idempotency key {shown(key)} belongs to batch {batch}, which has different content. "
            "Use a new key for a new batch.",
            path=("input", "idempotencyKey"),
        )


class RemoveInReplace(Refused):
    """A REPLACE batch names skus to remove."""

    code = "REMOVE_IN_REPLACE"

    def __init__(self) -> None:
        super().__init__(
            "`remove` is not allowed in a REPLACE, which already removes all skus that it does not contain. "
            "Leave `remove` out, or send a MERGE.",
            path=("input", "remove"),
        )


class BatchNotOpen(Refused):
    """The batch accepts no more prices."""

    code = "BATCH_NOT_OPEN"

    def __init__(self, batch: str, state: str) -> None:
        super().__init__(
            f"Batch {batch} is {state} and accepts no more prices. Open a new batch.", path=("input", "batch")
        )


class BatchNotHeld(Refused):
    """The batch is not HELD, so it can be neither reviewed, nor rescheduled, nor previewed."""

    code = "BATCH_NOT_HELD"

    def __init__(self, batch: str, state: str) -> None:
        super().__init__(
            f"Batch {batch} is {state}. Only a HELD batch can be approved, rejected, rescheduled or previewed.",
            path=("input", "batch"),
        )


class BatchSuperseded(BatchNotHeld):
    """The batch was superseded when its list was unpinned with `publishLatest`, and is being rejected."""

    def __init__(self, batch: str) -> None:
        super().__init__(batch, "superseded: a newer one was published when its list was unpinned")


class SequenceReused(Refused):
    """A part with this sequence number is already stored with different rows."""

    code = "SEQUENCE_REUSED"

    def __init__(self, sequence: int) -> None:
        super().__init__(
            f"Part {sequence} is already stored with different rows and was not changed. "
            "Send these rows with a new sequence number.",
            path=("input", "sequence"),
        )


class PartsMissing(Refused):
    """Some of the parts that the commit counts are not stored."""

    code = "PARTS_MISSING"

    def __init__(self, missing: Sequence[int]) -> None:
        first = ", ".join(map(str, missing[:100]))
        more = f" and {len(missing) - 100} more" if len(missing) > 100 else ""
        super().__init__(
            f"These parts are not stored: {first}{more}. Append them and commit again; the batch stays open.",
            path=("input", "parts"),
        )
        self.missing = tuple(missing)


class PartsUnexpected(Refused):
    """More parts are stored than the commit counts."""

    code = "PARTS_UNEXPECTED"

    def __init__(self, parts: int, unexpected: Sequence[int]) -> None:
        super().__init__(
            f"The commit counts {parts} parts, but these are stored as well: {', '.join(map(str, unexpected[:100]))}. "
            "Commit with the right number of parts, or abort the batch; it stays open.",
            path=("input", "parts"),
        )


class SizeMismatch(Refused):
    """The stored parts contain a different number of prices than the commit states."""

    code = "SIZE_MISMATCH"

    def __init__(self, expected: int, stored: int) -> None:
        super().__init__(
            f"The commit states {expected} prices, but the stored parts contain {stored}. "
            "Commit with the right number of prices, or abort the batch; it stays open.",
            path=("input", "size"),
        )


class Pinned(Refused):
    """The price list is pinned, so nothing can be published."""

    code = "PINNED"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"{price_list!r} is pinned to version {version}. Unpin it first.")


class Conflict(Refused):
    """The current version is not the one that the caller expected; 0 stands for none."""

    code = "CONFLICT"

    def __init__(self, price_list: str, expected: int, found: int | None) -> None:
        super().__init__(
            f"{f'Version {expected}' if expected else 'No version'} of {price_list!r} was expected to be current, but "
            f"{'no version' if found is None else f'version {found}'} is. Review the change and try again.",
            path=("input", "expectedVersion"),
        )
        self.expected = expected
        self.found = found


class AlreadyCurrent(Refused):
    """The target of a rollback is already the current version."""

    code = "ALREADY_CURRENT"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(
            f"Version {version} of {price_list!r} is already current. Nothing was changed. To keep it current, pin it."
        )


class NotPinned(Refused):
    """The price list to unpin is not pinned."""

    code = "NOT_PINNED"

    def __init__(self, price_list: str) -> None:
        super().__init__(f"{price_list!r} is not pinned. Nothing was changed.")


class NotRetired(Refused):
    """The version to restore is not retired."""

    code = "NOT_RETIRED"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"Version {version} of {price_list!r} is not retired. Nothing was changed.")


class Broken(PricebookError):
    """The data or the deployment has a fault."""


class Corrupt(Broken):
    """Stored data differs from what was written."""

    code = "CORRUPT"


class UnknownFormat(Broken):
    """A document was written by a later release, in a format that this one does not support."""

    code = "UNKNOWN_FORMAT"

    def __init__(self, kind: str, found: object, known: int) -> None:
        super().__init__(
            f"A {kind} has format {found}; this release supports formats up to {known}. It was not changed. "
            "Upgrade this process."
        )


class Interrupted(Broken):
    """The transfer of a file was interrupted, or the file would have to be read a second time."""

    code = "INTERRUPTED"


class LeaseLost(Broken):
    """Another process has taken over the lease, so this one must stop its work."""

    code = "LEASE_LOST"


class LayerSealed(LeaseLost):
    """Another process sealed or dropped the layer that this one was still writing."""

    code = "LAYER_SEALED"


class Unavailable(Broken):
    """The database does not respond, or the outcome of a write is unknown."""

    code = "UNAVAILABLE"
