"""What mutations take."""

import datetime
import decimal
from typing import Any

import strawberry

from graph.rows.upload import Upload
from graph.types.gates import GatesInput
from graph.types.retention import RetentionInput
from graph.types.scalars import JSON
from storage import BatchMode, PublishPolicy


@strawberry.input(description="A quantity break.")
class PriceTierInput:
    """A quantity break."""

    min_quantity: int = strawberry.field(description="The amount holds for this quantity and more.")
    amount: decimal.Decimal = strawberry.field(description="The unit amount.")

    def to_row(self) -> dict[str, Any]:
        """Return the tier as JSON has it."""
        return {"minQuantity": self.min_quantity, "amount": format(self.amount, "f")}


@strawberry.input(description="One price of a batch.")
class PriceInput:
    """One price. Rows that come as variables are not coerced to this: see `graph.rows.placeholders`."""

    sku: strawberry.ID = strawberry.field(
        description="The key of the price: 1 to 256 bytes of UTF-8, no control characters."
    )
    amount: decimal.Decimal = strawberry.field(description="The unit amount: not negative, at most 34 digits.")
    currency: str = strawberry.field(description="ISO 4217.")
    tiers: list[PriceTierInput] | None = strawberry.field(
        default_factory=list, description="Quantity breaks, each with a minQuantity of its own."
    )
    valid_from: datetime.date | None = strawberry.field(
        default=None, description="The first day on which the price holds."
    )
    valid_until: datetime.date | None = strawberry.field(
        default=None, description="The last day on which the price holds."
    )
    attributes: JSON | None = strawberry.field(
        default=None, description="An object of at most 16 KiB, kept with the price."
    )

    def to_row(self) -> dict[str, Any]:
        """Return the price as JSON has it."""
        return {
            "sku": self.sku,
            "amount": format(self.amount, "f"),
            "currency": self.currency,
            "tiers": [tier.to_row() for tier in self.tiers or ()],
            "validFrom": self.valid_from,
            "validUntil": self.valid_until,
            "attributes": self.attributes,
        }


@strawberry.input(description="A list to create.")
class CreatePriceListInput:
    """A list to create."""

    name: strawberry.ID = strawberry.field(
        description="1 to 63 of a-z, 0-9, '.', '_' and '-', a letter or digit first."
    )
    description: str | None = strawberry.field(default=None, description="What it is for.")
    gates: GatesInput | None = strawberry.field(
        default=None, description="The checks between seal and publish; all off where they are left out."
    )
    retention: RetentionInput | None = strawberry.field(
        default=None, description="What keeps its versions; without it, 30 versions and 7 days."
    )


@strawberry.input(description="A list to change. What is left out stays as it is.")
class UpdatePriceListInput:
    """A list to change."""

    name: strawberry.ID = strawberry.field(description="The list's name.")
    description: str | None = strawberry.field(default=strawberry.UNSET, description="What it is for.")
    gates: GatesInput | None = strawberry.field(
        default=strawberry.UNSET, description="The checks between seal and publish, all of them; null for none."
    )
    retention: RetentionInput | None = strawberry.field(
        default=None, description="What keeps its versions; what is left out stays as it is."
    )


@strawberry.input(description="A whole batch in one call.")
class PublishBatchInput:
    """A whole batch."""

    price_list: strawberry.ID = strawberry.field(description="The list's name.")
    mode: BatchMode = strawberry.field(description="What the batch does to the current version.")
    prices: list[PriceInput] | None = strawberry.field(default=None, description="Either prices or file.")
    file: Upload | None = strawberry.field(
        default=None,
        description="NDJSON (.ndjson, .jsonl) or CSV with a header row (.csv), plain, gzip or zstd.",
    )
    remove: list[strawberry.ID] | None = strawberry.field(default=None, description="MERGE only: skus to take out.")
    idempotency_key: str = strawberry.field(
        description="The same key gives the same batch back, however often it is sent. "
        "The same key with another body is refused."
    )
    expected_version: int | None = strawberry.field(
        default=None, description="Publish only if this is still the current version."
    )
    publish: PublishPolicy = strawberry.field(
        default=PublishPolicy.WHEN_VALID, description="When the batch is published."
    )
    label: str | None = strawberry.field(default=None, description="A name for the version.")


@strawberry.input(description="A batch that comes in parts.")
class OpenBatchInput:
    """A batch that comes in parts."""

    price_list: strawberry.ID = strawberry.field(description="The list's name.")
    mode: BatchMode = strawberry.field(description="What the batch does to the current version.")
    idempotency_key: str = strawberry.field(
        description="The same key gives the same batch back, however often it is sent."
    )
    expected_version: int | None = strawberry.field(
        default=None, description="Publish only if this is still the current version."
    )
    publish: PublishPolicy = strawberry.field(
        default=PublishPolicy.WHEN_VALID, description="When the batch is published."
    )
    label: str | None = strawberry.field(default=None, description="A name for the version.")


@strawberry.input(description="One part of a batch.")
class AppendBatchInput:
    """One part of a batch."""

    batch: strawberry.ID = strawberry.field(description="The batch's id.")
    sequence: int = strawberry.field(
        description="The number of this part, from 0, in any order; a number that was stored is not stored twice."
    )
    prices: list[PriceInput] | None = strawberry.field(default=None, description="Either prices or file.")
    file: Upload | None = strawberry.field(
        default=None,
        description="NDJSON (.ndjson, .jsonl) or CSV with a header row (.csv), plain, gzip or zstd.",
    )
    remove: list[strawberry.ID] | None = strawberry.field(default=None, description="MERGE only: skus to take out.")


@strawberry.input(description="The end of a batch that came in parts.")
class CommitBatchInput:
    """The end of a batch that came in parts."""

    batch: strawberry.ID = strawberry.field(description="The batch's id.")
    parts: int = strawberry.field(description="How many sequences were sent: 0 to parts - 1.")
    size: int = strawberry.field(description="How many prices in all.")


@strawberry.input(description="A batch to give up.")
class AbortBatchInput:
    """A batch to give up."""

    batch: strawberry.ID = strawberry.field(description="The batch's id.")
    reason: str | None = strawberry.field(default=None, description="Why; it is kept with the event.")


@strawberry.input(description="The decision on a batch that is held.")
class ReviewBatchInput:
    """The decision on a batch that is held."""

    batch: strawberry.ID = strawberry.field(description="The batch's id.")
    reason: str = strawberry.field(description="Why; it is kept with the event.")


@strawberry.input(description="Where to go back to.")
class RollbackInput:
    """Where to go back to."""

    price_list: strawberry.ID = strawberry.field(description="The list's name.")
    to_version: int = strawberry.field(description="An earlier version that is kept.")
    reason: str = strawberry.field(description="Why; it is kept with the event.")
    expected_version: int | None = strawberry.field(
        default=None, description="Roll back only if this is still the current version."
    )
    pin: bool = strawberry.field(
        default=True, description="Hold the version, so that the next batch cannot undo the rollback unseen."
    )


@strawberry.input(description="A version to hold.")
class PinInput:
    """A version to hold."""

    price_list: strawberry.ID = strawberry.field(description="The list's name.")
    version: int = strawberry.field(description="The version that is to be current and stay so.")
    reason: str = strawberry.field(description="Why; it is kept with the event.")


@strawberry.input(description="A list to let go.")
class UnpinInput:
    """A list to let go."""

    price_list: strawberry.ID = strawberry.field(description="The list's name.")
    reason: str = strawberry.field(description="Why; it is kept with the event.")
    publish_latest: bool = strawberry.field(
        default=False,
        description="Publish the newest batch that waited for it; the others become REJECTED as superseded.",
    )


@strawberry.input(description="A list whose versions are to go that nothing keeps.")
class RetainInput:
    """A list whose versions are to go that nothing keeps."""

    price_list: strawberry.ID = strawberry.field(description="The list's name.")
    dry_run: bool = strawberry.field(default=False, description="Tell what would go, and change nothing.")


@strawberry.input(description="A version to bring back.")
class RestoreInput:
    """A version to bring back."""

    price_list: strawberry.ID = strawberry.field(description="The list's name.")
    version: int = strawberry.field(description="A version that retention took, not too long ago.")
    reason: str = strawberry.field(description="Why; it is kept with the event.")
