"""Payloads of mutations."""

import strawberry

from graph.types.batches import Batch
from graph.types.price_lists import PriceList
from graph.types.releases import Release
from graph.types.snapshots import Snapshot


@strawberry.type(description="An error that the caller can fix.")
class UserError:
    """An error that the caller can fix."""

    code: str = strawberry.field(description="A stable error code, for programs.")
    message: str = strawberry.field(description="The error message, for people.")
    path: list[str] | None = strawberry.field(
        default=None, description="The path to the input field that caused the error."
    )


@strawberry.type(description="The result of a mutation of a batch.")
class BatchPayload:
    """The result of a mutation of a batch."""

    batch: Batch | None = strawberry.field(
        default=None, description="The batch. Null if the mutation was refused before it created or found one."
    )
    snapshot: Snapshot | None = strawberry.field(
        default=None, description="The version that the batch created, if the batch is published or held."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="The errors that prevented the mutation. Empty on success."
    )


@strawberry.type(description="The result of a mutation of a price list.")
class PriceListPayload:
    """The result of a mutation of a price list."""

    price_list: PriceList | None = strawberry.field(default=None, description="The price list after the mutation.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="The errors that prevented the mutation. Empty on success."
    )


@strawberry.type(description="The result of `deletePriceList`.")
class DeletePriceListPayload:
    """The result of `deletePriceList`."""

    deleted_id: strawberry.ID | None = strawberry.field(
        default=None, description="The global id of the deleted price list. Null if nothing was deleted."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="The errors that prevented the mutation. Empty on success."
    )


@strawberry.type(description="The result of a mutation of a release.")
class ReleasePayload:
    """The result of a mutation of a release."""

    release: Release | None = strawberry.field(
        default=None,
        description="The release after the mutation; as it is, if some of its price lists stood against the mutation. "
        "Null if the mutation was refused otherwise.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list,
        description="The errors that prevented the mutation: one for each obstacle, whose `path` ends with the name of "
        "the price list. Empty on success.",
    )
