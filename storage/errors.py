"""The errors of storage. Each class has a stable `code`; each message says what to do next.

PricebookError
├── Refused              the caller asked for something that cannot be done; asking again alone does not help
│   ├── InvalidArgument, ScanLimit
│   ├── PriceListNotFound, PriceListExists
│   ├── SnapshotNotFound, SnapshotExpired (SnapshotGone), SnapshotNeverPublished, VersionNotReached
│   ├── BatchNotFound, EmptyBatch, IdempotencyKeyReused
│   ├── RemoveInReplace, BatchNotOpen, BatchNotHeld, SequenceReused, PartsMissing, PartsUnexpected, SizeMismatch
│   ├── Conflict, AlreadyCurrent, Pinned, NotPinned, LatestHeld, NotRetired
│   └── FileRefused      see `storage.files.errors`
└── Broken               the data or the deployment is not as it must be
    ├── Corrupt
    ├── UnknownFormat
    ├── Interrupted      a file did not come to its end, or would have to be sent again
    ├── LeaseLost        another process has taken the work over
    │   └── LayerSealed
    └── Unavailable      the database cannot be reached now
"""

from collections.abc import Sequence
from typing import ClassVar


class PricebookError(Exception):
    """The root of all errors that Pricebook raises on purpose."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class Refused(PricebookError):
    """The request cannot be carried out as it was sent."""


class InvalidArgument(Refused):
    """An argument is outside what is allowed."""

    code = "INVALID_ARGUMENT"


class ScanLimit(Refused):
    """The answer would take more reading than a request may ask for."""

    code = "SCAN_LIMIT"


class PriceListNotFound(Refused):
    """No price list has that name."""

    code = "PRICE_LIST_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no price list {name!r}. Create it with createPriceList.")


class PriceListExists(Refused):
    """A price list of that name is there already."""

    code = "PRICE_LIST_EXISTS"

    def __init__(self, name: str) -> None:
        super().__init__(f"The price list {name!r} exists already. Change it with updatePriceList.")


class SnapshotNotFound(Refused):
    """The list has never had that version."""

    code = "SNAPSHOT_NOT_FOUND"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"{price_list!r} has no version {version}. Its `snapshots` tell which there are.")


class SnapshotExpired(Refused):
    """Retention has taken that version."""

    code = "SNAPSHOT_EXPIRED"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"Version {version} of {price_list!r} is no longer kept. Start again from the current one.")


class SnapshotGone(SnapshotExpired):
    """A layer was dropped while it was read: its version was retired long ago."""

    def __init__(self) -> None:
        Refused.__init__(self, "The version is no longer kept. Start again from the current one.")


class SnapshotNeverPublished(Refused):
    """That version was sealed but never current, so there is nothing to go back to."""

    code = "SNAPSHOT_NEVER_PUBLISHED"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"Version {version} of {price_list!r} was never current; approve its batch to publish it.")


class VersionNotReached(Refused):
    """The version that the request wants to see at the least was not published, as far as this process knows."""

    code = "VERSION_NOT_REACHED"

    def __init__(self, price_list: str, wanted: int, seen: int, seconds: float) -> None:
        reached = f"version {seen} is the latest that was" if seen else "none was"
        super().__init__(
            f"Version {wanted} of {price_list!r} was not published within {seconds:.0f} s; {reached}. If its batch is "
            "PUBLISHED, ask again in a moment; otherwise ask for no more than there is."
        )
        self.wanted = wanted
        self.seen = seen


class BatchNotFound(Refused):
    """No batch has that id."""

    code = "BATCH_NOT_FOUND"

    def __init__(self, batch: str) -> None:
        super().__init__(f"There is no batch {batch!r}.")


class EmptyBatch(Refused):
    """A batch without a single row."""

    code = "EMPTY_BATCH"

    def __init__(self) -> None:
        super().__init__("The batch has no prices. Send at least one.", path=("input", "prices"))


class IdempotencyKeyReused(Refused):
    """The key was used before, for a batch with another body."""

    code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, key: str, batch: str) -> None:
        super().__init__(
            f"The idempotency key {key!r} belongs to batch {batch}, which was sent with another body. "
            "Use a new key for a new batch.",
            path=("input", "idempotencyKey"),
        )


class RemoveInReplace(Refused):
    """Skus to remove, in a batch that is the whole new list."""

    code = "REMOVE_IN_REPLACE"

    def __init__(self) -> None:
        super().__init__(
            "A REPLACE is the whole new list: what it does not have is gone. Leave `remove` out, or send a MERGE.",
            path=("input", "remove"),
        )


class BatchNotOpen(Refused):
    """The batch takes no more prices."""

    code = "BATCH_NOT_OPEN"

    def __init__(self, batch: str, state: str) -> None:
        super().__init__(f"Batch {batch} is {state} and takes no more prices. Open a new one.", path=("input", "batch"))


class BatchNotHeld(Refused):
    """Only a batch that is held can be approved or rejected."""

    code = "BATCH_NOT_HELD"

    def __init__(self, batch: str, state: str) -> None:
        super().__init__(f"Batch {batch} is {state}; only a HELD batch can be reviewed.", path=("input", "batch"))


class SequenceReused(Refused):
    """The sequence number was stored before, with other rows."""

    code = "SEQUENCE_REUSED"

    def __init__(self, sequence: int) -> None:
        super().__init__(
            f"Sequence {sequence} was stored before with other rows, and stays as it was. Send these as another one.",
            path=("input", "sequence"),
        )


class PartsMissing(Refused):
    """Sequences that the commit counts were not stored yet."""

    code = "PARTS_MISSING"

    def __init__(self, missing: Sequence[int]) -> None:
        first = ", ".join(map(str, missing[:100]))
        more = f" and {len(missing) - 100} more" if len(missing) > 100 else ""
        super().__init__(
            f"Not stored yet: sequence {first}{more}. Append them and commit again; the batch stays open.",
            path=("input", "parts"),
        )
        self.missing = tuple(missing)


class PartsUnexpected(Refused):
    """Sequences were stored that the commit does not count."""

    code = "PARTS_UNEXPECTED"

    def __init__(self, parts: int, unexpected: Sequence[int]) -> None:
        super().__init__(
            f"The commit counts {parts} parts, but sequence {', '.join(map(str, unexpected[:100]))} came too. "
            "Commit with the right number, or abort; the batch stays open.",
            path=("input", "parts"),
        )


class SizeMismatch(Refused):
    """The parts have another number of prices than the commit says."""

    code = "SIZE_MISMATCH"

    def __init__(self, said: int, stored: int) -> None:
        super().__init__(
            f"The commit says {said} prices, but the parts have {stored}. Commit with the right number, or abort; "
            "the batch stays open.",
            path=("input", "size"),
        )


class Pinned(Refused):
    """The list is pinned, so nothing can be published."""

    code = "PINNED"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"{price_list!r} is pinned to version {version}. Unpin it first.")


class Conflict(Refused):
    """The current version is not the one that the caller expected."""

    code = "CONFLICT"

    def __init__(self, price_list: str, expected: int, found: int | None) -> None:
        super().__init__(
            f"Version {expected} of {price_list!r} was expected to be current, but "
            f"{'none is' if found is None else f'version {found} is'}. Look at what changed and send it again.",
            path=("input", "expectedVersion"),
        )
        self.expected = expected
        self.found = found


class AlreadyCurrent(Refused):
    """A rollback to the version that is current: nothing was changed."""

    code = "ALREADY_CURRENT"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(
            f"Version {version} of {price_list!r} is current already; nothing was changed. To hold it, pin it."
        )


class NotPinned(Refused):
    """An unpin of a list that has no pin."""

    code = "NOT_PINNED"

    def __init__(self, price_list: str) -> None:
        super().__init__(f"{price_list!r} is not pinned; nothing was changed.")


class NotRetired(Refused):
    """A version that is to be brought back is there."""

    code = "NOT_RETIRED"

    def __init__(self, price_list: str, version: int) -> None:
        super().__init__(f"Version {version} of {price_list!r} is not retired; nothing was changed.")


class LatestHeld(Refused):
    """The newest batch that waited for a pin cannot be published with the unpin: it has to be reviewed."""

    code = "BATCH_HELD"

    def __init__(self, batch: str, why: str) -> None:
        super().__init__(
            f"Batch {batch}, the newest that waited, is not published against what is current now: {why} "
            "Nothing was changed. Reject it, or unpin without publishLatest and approve it."
        )


class Broken(PricebookError):
    """The data or the deployment is not as it must be."""


class Corrupt(Broken):
    """What was read back is not what was written."""

    code = "CORRUPT"


class UnknownFormat(Broken):
    """A document was written by a release that this one does not understand."""

    code = "UNKNOWN_FORMAT"

    def __init__(self, kind: str, found: object, known: int) -> None:
        super().__init__(
            f"A {kind} has format {found}; this release knows formats up to {known} and leaves it alone. "
            "Upgrade this process."
        )


class Interrupted(Broken):
    """A file did not come to its end, or would have to be read a second time."""

    code = "INTERRUPTED"


class LeaseLost(Broken):
    """Another process holds the lease now; this one must stop its work."""

    code = "LEASE_LOST"


class LayerSealed(LeaseLost):
    """The layer was sealed or abandoned by another process while this one was still filling it."""

    code = "LAYER_SEALED"


class Unavailable(Broken):
    """The database does not answer, or the outcome of a write is unknown."""

    code = "UNAVAILABLE"
