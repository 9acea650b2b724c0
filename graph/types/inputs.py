"""Inputs of mutations."""

import datetime
import decimal
from typing import Any

import strawberry

from graph.rows.upload import Upload
from graph.types.gates import GatesInput
from graph.types.retention import RetentionInput
from graph.types.scalars import JSON
from storage import (
    MAX_DAYS_AHEAD,
    MAX_DESCRIPTION_LENGTH,
    MAX_KEEP_YEARS,
    MAX_PARTS,
    MAX_REASON_LENGTH,
    MAX_REMOVALS,
    BatchMode,
    PublishPolicy,
)

_REASON = f"The reason, recorded in the audit log: 1 to {MAX_REASON_LENGTH} characters."
_DESCRIPTION = f"A description of the price list: at most {MAX_DESCRIPTION_LENGTH} characters."
_PUBLISH_AT = (
    "The instant at which to publish the batch, with an offset from UTC: in the future by the clock of MongoDB, and at "
    f"most {MAX_DAYS_AHEAD} days ahead; otherwise the mutation fails with `INVALID_PUBLISH_AT`. The batch is checked "
    "and sealed now and held until then. Gates, `expectedVersion` and pins are checked again at that time; if any is "
    "against it, the batch is not published but waits for a review. Null publishes the batch as soon as it is valid."
)
_REMOVE = f"The skus to remove: at most {MAX_REMOVALS}. Only allowed with `mode: MERGE`."


@strawberry.input(description="A quantity break.")
class PriceTierInput:
    """A quantity break."""

    min_quantity: int = strawberry.field(description="The smallest quantity that the amount applies to.")
    amount: decimal.Decimal = strawberry.field(description="The unit amount from this quantity on.")

    def to_row(self) -> dict[str, Any]:
        """Return the JSON object of the tier."""
        return {"minQuantity": self.min_quantity, "amount": format(self.amount, "f")}


@strawberry.input(description="One price of a batch.")
class PriceInput:
    """One price of a batch. Rows in variables are not coerced to this type: see `graph.rows.placeholders`."""

    sku: strawberry.ID = strawberry.field(
        description="The key of the price within its list: 1 to 256 bytes of UTF-8, without control characters, and "
        "without spaces around it."
    )
    amount: decimal.Decimal = strawberry.field(description="The unit amount: not negative, with at most 34 digits.")
    currency: str = strawberry.field(description="The currency, as an ISO 4217 code.")
    tiers: list[PriceTierInput] | None = strawberry.field(
        default_factory=list, description="The quantity breaks: at most 100, each with a different `minQuantity`."
    )
    valid_from: datetime.date | None = strawberry.field(
        default=None, description="The first day on which the price is valid."
    )
    valid_until: datetime.date | None = strawberry.field(
        default=None, description="The last day on which the price is valid."
    )
    attributes: JSON | None = strawberry.field(
        default=None, description="Attributes of the price: a JSON object of at most 16 KiB."
    )

    def to_row(self) -> dict[str, Any]:
        """Return the JSON object of the price."""
        return {
            "sku": self.sku,
            "amount": format(self.amount, "f"),
            "currency": self.currency,
            "tiers": [tier.to_row() for tier in self.tiers or ()],
            "validFrom": self.valid_from,
            "validUntil": self.valid_until,
            "attributes": self.attributes,
        }


@strawberry.input(description="Input of `createPriceList`.")
class CreatePriceListInput:
    """Input of `createPriceList`."""

    name: strawberry.ID = strawberry.field(
        description="The name of the price list: 1 to 63 characters of `a-z`, `0-9`, `.`, `_` and `-`, starting with a "
        "letter or digit."
    )
    description: str | None = strawberry.field(default=None, description=_DESCRIPTION)
    gates: GatesInput | None = strawberry.field(
        default=None, description="The gates of the price list. Gates that are left out are disabled."
    )
    retention: RetentionInput | None = strawberry.field(
        default=None, description="The retention of versions. The default is 30 versions and 30 days."
    )


@strawberry.input(description="Input of `updatePriceList`. Fields that are left out stay unchanged.")
class UpdatePriceListInput:
    """Input of `updatePriceList`."""

    name: strawberry.ID = strawberry.field(description="The name of the price list.")
    description: str | None = strawberry.field(default=strawberry.UNSET, description=_DESCRIPTION)
    gates: GatesInput | None = strawberry.field(
        default=strawberry.UNSET,
        description="The gates of the price list. Replaces all gates: those left out are disabled, and null disables "
        "all.",
    )
    expected_gates: GatesInput | None = strawberry.field(
        default=None,
        description="Update the price list only if these are still its gates, those left out disabled; otherwise the "
        "mutation fails with `CONFLICT`.",
    )
    retention: RetentionInput | None = strawberry.field(
        default=None, description="The retention of versions. Fields that are left out stay unchanged."
    )


@strawberry.input(description="Input of `deletePriceList`.")
class DeletePriceListInput:
    """Input of `deletePriceList`."""

    name: strawberry.ID = strawberry.field(description="The name of the price list.")
    confirm_name: str = strawberry.field(description="The name again, as confirmation.")
    reason: str = strawberry.field(description=_REASON)
    force: bool = strawberry.field(
        default=False,
        description="Delete the price list even if a batch is in progress or was published a short time ago.",
    )


@strawberry.input(description="Input of `publishBatch`: a whole batch in one request.")
class PublishBatchInput:
    """Input of `publishBatch`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    mode: BatchMode = strawberry.field(description="Whether the batch replaces the price list or is merged into it.")
    prices: list[PriceInput] | None = strawberry.field(
        default=None, description="The prices. Send either `prices` or `file`."
    )
    file: Upload | None = strawberry.field(
        default=None,
        description="A file of prices: NDJSON (`.ndjson`, `.jsonl`) or CSV with a header row (`.csv`), uncompressed or "
        "compressed with gzip or zstd.",
    )
    remove: list[strawberry.ID] | None = strawberry.field(default=None, description=_REMOVE)
    idempotency_key: str = strawberry.field(
        description="A key of 1 to 255 printable characters that makes retries safe: sending the same batch with the "
        "same key again returns the first batch. The same key with different content fails with "
        "`IDEMPOTENCY_KEY_REUSED`."
    )
    expected_version: int | None = strawberry.field(
        default=None,
        description="Publish the batch only if this is still the current version (0: there is none yet); otherwise it "
        "fails with `CONFLICT`.",
    )
    publish: PublishPolicy = strawberry.field(
        default=PublishPolicy.WHEN_VALID, description="When the batch is published."
    )
    publish_at: datetime.datetime | None = strawberry.field(default=None, description=_PUBLISH_AT)
    label: str | None = strawberry.field(
        default=None,
        description="A label for the version: 1 to 255 characters. It is a name only: `keepVersion` keeps a version.",
    )


@strawberry.input(description="Input of `openBatch`.")
class OpenBatchInput:
    """Input of `openBatch`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    mode: BatchMode = strawberry.field(description="Whether the batch replaces the price list or is merged into it.")
    idempotency_key: str = strawberry.field(
        description="A key of 1 to 255 printable characters that makes retries safe: opening a batch with the same key "
        "again returns the first batch."
    )
    expected_version: int | None = strawberry.field(
        default=None,
        description="Publish the batch only if this is still the current version (0: there is none yet); otherwise it "
        "fails with `CONFLICT`.",
    )
    publish: PublishPolicy = strawberry.field(
        default=PublishPolicy.WHEN_VALID, description="When the batch is published."
    )
    publish_at: datetime.datetime | None = strawberry.field(default=None, description=_PUBLISH_AT)
    label: str | None = strawberry.field(
        default=None,
        description="A label for the version: 1 to 255 characters. It is a name only: `keepVersion` keeps a version.",
    )


@strawberry.input(description="Input of `appendBatch`: one part of a batch.")
class AppendBatchInput:
    """Input of `appendBatch`: one part of a batch."""

    batch: strawberry.ID = strawberry.field(description="The ID of the batch.")
    sequence: int = strawberry.field(
        description=f"The number of the part: 0 to {MAX_PARTS - 1}. Parts may be sent in any order. Sending the same "
        "part again is safe; other content under the same number fails with `SEQUENCE_REUSED`."
    )
    prices: list[PriceInput] | None = strawberry.field(
        default=None, description="The prices. Send either `prices` or `file`."
    )
    file: Upload | None = strawberry.field(
        default=None,
        description="A file of prices: NDJSON (`.ndjson`, `.jsonl`) or CSV with a header row (`.csv`), uncompressed or "
        "compressed with gzip or zstd.",
    )
    remove: list[strawberry.ID] | None = strawberry.field(default=None, description=_REMOVE)


@strawberry.input(description="Input of `commitBatch`.")
class CommitBatchInput:
    """Input of `commitBatch`."""

    batch: strawberry.ID = strawberry.field(description="The ID of the batch.")
    parts: int = strawberry.field(
        description=f"The number of parts sent: at most {MAX_PARTS}. Their sequence numbers must be 0 to `parts` - 1."
    )
    size: int = strawberry.field(description="The total number of prices sent in all parts.")


@strawberry.input(description="Input of `abortBatch`.")
class AbortBatchInput:
    """Input of `abortBatch`."""

    batch: strawberry.ID = strawberry.field(description="The ID of the batch.")
    reason: str | None = strawberry.field(default=None, description=_REASON)


@strawberry.input(description="Input of `approveBatch` and `rejectBatch`.")
class ReviewBatchInput:
    """Input of `approveBatch` and `rejectBatch`."""

    batch: strawberry.ID = strawberry.field(description="The ID of the batch.")
    reason: str = strawberry.field(description=_REASON)
    expected_version: int | None = strawberry.field(
        default=None,
        description="Approve or reject the batch only if this is still the current version (0: there is none yet); "
        "otherwise the mutation fails with `CONFLICT`.",
    )


@strawberry.input(description="Input of `rescheduleBatch`.")
class RescheduleBatchInput:
    """Input of `rescheduleBatch`."""

    batch: strawberry.ID = strawberry.field(description="The ID of the batch.")
    publish_at: datetime.datetime | None = strawberry.field(
        default=None,
        description="The instant at which to publish the batch, with an offset from UTC: in the future by the clock of "
        f"MongoDB, and at most {MAX_DAYS_AHEAD} days ahead. Null takes the schedule away.",
    )
    reason: str = strawberry.field(description=_REASON)


@strawberry.input(description="Input of `rollback`.")
class RollbackInput:
    """Input of `rollback`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    to_version: int = strawberry.field(
        description="The version to make current. It must have been current before and must not have expired."
    )
    reason: str = strawberry.field(description=_REASON)
    expected_version: int | None = strawberry.field(
        default=None,
        description="Roll back only if this is still the current version (0: there is none yet); otherwise the "
        "mutation fails with `CONFLICT`.",
    )
    pin: bool = strawberry.field(
        default=True, description="Whether to pin the version, so that the next batch does not undo the rollback."
    )


@strawberry.input(description="Input of `pin`.")
class PinInput:
    """Input of `pin`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    version: int = strawberry.field(description="The version to pin. It becomes the current version.")
    reason: str = strawberry.field(description=_REASON)
    expected_version: int | None = strawberry.field(
        default=None,
        description="Pin only if this is still the current version (0: there is none yet); otherwise the mutation "
        "fails with `CONFLICT`.",
    )


@strawberry.input(description="Input of `unpin`.")
class UnpinInput:
    """Input of `unpin`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    reason: str = strawberry.field(description=_REASON)
    publish_latest: bool = strawberry.field(
        default=False,
        description="Whether to publish the newest batch that only the pin held. The other batches that only the pin "
        "held are superseded: they can be neither approved nor rejected any more, and become REJECTED soon afterwards.",
    )
    expected_version: int | None = strawberry.field(
        default=None,
        description="Unpin only if this is still the current version; otherwise the mutation fails with `CONFLICT`.",
    )
    expected_batch: strawberry.ID | None = strawberry.field(
        default=None,
        description="With `publishLatest`: unpin only if this is the batch to publish, the first of `heldByPin`; "
        "otherwise the mutation fails with `CONFLICT`.",
    )


@strawberry.input(description="Input of `retain`.")
class RetainInput:
    """Input of `retain`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    dry_run: bool = strawberry.field(
        default=False, description="Whether to only report what would expire, without changing anything."
    )


@strawberry.input(description="Input of `restore`.")
class RestoreInput:
    """Input of `restore`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    version: int = strawberry.field(description="An expired version whose layers have not been released yet.")
    reason: str = strawberry.field(description=_REASON)


@strawberry.input(description="Input of `keepVersion`.")
class KeepVersionInput:
    """Input of `keepVersion`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    version: int = strawberry.field(
        description="The version to keep. It must be current or have been current, and must not have expired."
    )
    until: datetime.datetime | None = strawberry.field(
        default=None,
        description="Until when to keep the version: an instant with an offset, still to come by the time of the "
        f"database, and at most {MAX_KEEP_YEARS} years ahead. Null, or left out, keeps it no longer.",
    )
    reason: str = strawberry.field(description=_REASON)
