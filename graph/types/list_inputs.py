"""Inputs of the mutations of price lists."""

import datetime

import strawberry

from graph.types.gates import GatesInput
from graph.types.reasons import REASON
from graph.types.retention import RetentionInput
from storage import MAX_DESCRIPTION_LENGTH, MAX_KEEP_YEARS

_DESCRIPTION = f"A description of the price list: at most {MAX_DESCRIPTION_LENGTH} characters."


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
    reason: str = strawberry.field(description=REASON)
    force: bool = strawberry.field(
        default=False,
        description="Delete the price list even if a batch is in progress or was published a short time ago.",
    )


@strawberry.input(description="Input of `rollback`.")
class RollbackInput:
    """Input of `rollback`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    to_version: int = strawberry.field(
        description="The version to make current. It must have been current before and must not have expired."
    )
    reason: str = strawberry.field(description=REASON)
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
    reason: str = strawberry.field(description=REASON)
    expected_version: int | None = strawberry.field(
        default=None,
        description="Pin only if this is still the current version (0: there is none yet); otherwise the mutation "
        "fails with `CONFLICT`.",
    )


@strawberry.input(description="Input of `unpin`.")
class UnpinInput:
    """Input of `unpin`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    reason: str = strawberry.field(description=REASON)
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
    reason: str = strawberry.field(description=REASON)


@strawberry.input(description="Input of `keepVersion`.")
class KeepVersionInput:
    """Input of `keepVersion`."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    version: int = strawberry.field(
        description="The version to keep. It must be current or have been current, and must not have expired."
    )
    until: datetime.datetime | None = strawberry.field(
        default=strawberry.UNSET,
        description="Until when to keep the version: an instant with an offset from UTC, still to come by the time of "
        f"the database, and at most {MAX_KEEP_YEARS} years ahead. Null keeps it no longer; one of both must be given.",
    )
    reason: str = strawberry.field(description=REASON)
