"""Inputs of the mutations of batches."""

import datetime
import decimal
from typing import Any

import strawberry

from graph.rows.upload import Upload
from graph.types.reasons import REASON
from graph.types.scalars import JSON
from storage import MAX_DAYS_AHEAD, MAX_LISTS, MAX_PARTS, MAX_REMOVALS, BatchMode, PublishPolicy

_MODE = "Whether the batch replaces the price list or is merged into it."
_PRICES = "The prices. Send either `prices` or `file`."
_FILE = (
    "A file of prices: NDJSON (`.ndjson`, `.jsonl`) or CSV with a header row (`.csv`), uncompressed or compressed with "
    "gzip or zstd."
)
_REMOVE = f"The skus to remove: at most {MAX_REMOVALS}. Only allowed with `mode: MERGE`."
_KEY = "A key of 1 to 255 printable characters that makes retries safe"
_EXPECTED_VERSION = (
    "Publish the batch only if this is still the current version (0: there is none yet); otherwise it fails with "
    "`CONFLICT`."
)
_PUBLISH_AT = (
    "The instant at which to publish the batch, with an offset from UTC: in the future by the clock of MongoDB, and at "
    f"most {MAX_DAYS_AHEAD} days ahead; otherwise the mutation fails with `INVALID_PUBLISH_AT`. The batch is checked "
    "and sealed now and held until then. Gates, `expectedVersion` and pins are checked again at that time; if any is "
    "against it, the batch is not published but waits for a review. Null publishes the batch as soon as it is valid."
)
_RELEASE = (
    "The ID of a release that is `OPEN` or `SCHEDULED`. The batch is checked and sealed now, and published with the "
    "release, at the same moment as the batches of its other price lists. A release has one batch of each price list, "
    f"and at most {MAX_LISTS} of them; a later batch of the same list takes the place of the earlier one, which is "
    "rejected. Excludes `publishAt` and `publish: DRY_RUN`."
)
_LABEL = "A label for the version: 1 to 255 characters. It is a name only: `keepVersion` keeps a version."


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


@strawberry.input(description="Input of `publishBatch`: a whole batch in one request.")
class PublishBatchInput:
    """Input of `publishBatch`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    mode: BatchMode = strawberry.field(description=_MODE)
    prices: list[PriceInput] | None = strawberry.field(default=None, description=_PRICES)
    file: Upload | None = strawberry.field(default=None, description=_FILE)
    remove: list[strawberry.ID] | None = strawberry.field(default=None, description=_REMOVE)
    idempotency_key: str = strawberry.field(
        description=f"{_KEY}: sending the same batch with the same key again returns the first batch. The same key "
        "with different content fails with `IDEMPOTENCY_KEY_REUSED`."
    )
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED_VERSION)
    publish: PublishPolicy = strawberry.field(
        default=PublishPolicy.WHEN_VALID, description="When the batch is published."
    )
    publish_at: datetime.datetime | None = strawberry.field(default=None, description=_PUBLISH_AT)
    label: str | None = strawberry.field(default=None, description=_LABEL)
    release: strawberry.ID | None = strawberry.field(default=None, description=_RELEASE)


@strawberry.input(description="Input of `openBatch`.")
class OpenBatchInput:
    """Input of `openBatch`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    mode: BatchMode = strawberry.field(description=_MODE)
    idempotency_key: str = strawberry.field(
        description=f"{_KEY}: opening a batch with the same key again returns the first batch."
    )
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED_VERSION)
    publish: PublishPolicy = strawberry.field(
        default=PublishPolicy.WHEN_VALID, description="When the batch is published."
    )
    publish_at: datetime.datetime | None = strawberry.field(default=None, description=_PUBLISH_AT)
    label: str | None = strawberry.field(default=None, description=_LABEL)
    release: strawberry.ID | None = strawberry.field(default=None, description=_RELEASE)


@strawberry.input(description="Input of `appendBatch`: one part of a batch.")
class AppendBatchInput:
    """Input of `appendBatch`: one part of a batch."""

    batch: strawberry.ID = strawberry.field(description="The ID of the batch.")
    sequence: int = strawberry.field(
        description=f"The number of the part: 0 to {MAX_PARTS - 1}. Parts may be sent in any order. Sending the same "
        "part again is safe; other content under the same number fails with `SEQUENCE_REUSED`."
    )
    prices: list[PriceInput] | None = strawberry.field(default=None, description=_PRICES)
    file: Upload | None = strawberry.field(default=None, description=_FILE)
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
    reason: str | None = strawberry.field(default=None, description=REASON)


@strawberry.input(description="Input of `approveBatch` and `rejectBatch`.")
class ReviewBatchInput:
    """Input of `approveBatch` and `rejectBatch`."""

    batch: strawberry.ID = strawberry.field(description="The ID of the batch.")
    reason: str = strawberry.field(description=REASON)
    expected_version: int | None = strawberry.field(
        default=None,
        description="Approve or reject the batch only if this is still the current version (0: there is none yet); "
        "otherwise the mutation fails with `CONFLICT`. An approval that publishes now uses it instead of the "
        "`expectedVersion` of the batch.",
    )
    keep_schedule: bool = strawberry.field(
        default=False,
        description="For `approveBatch` only, of a scheduled batch: approve it, and publish it at its `publishAt`, not "
        "now. The gates that have findings now, and `publish: ON_APPROVAL`, do not hold it then; other gates, a pin "
        "and `expectedVersion` do.",
    )


@strawberry.input(description="Input of `rescheduleBatch`.")
class RescheduleBatchInput:
    """Input of `rescheduleBatch`."""

    batch: strawberry.ID = strawberry.field(description="The ID of the batch.")
    publish_at: datetime.datetime | None = strawberry.field(
        default=strawberry.UNSET,
        description="The instant at which to publish the batch, with an offset from UTC: in the future by the clock of "
        f"MongoDB, and at most {MAX_DAYS_AHEAD} days ahead. Null takes the schedule away; one of both must be given.",
    )
    reason: str = strawberry.field(description=REASON)
