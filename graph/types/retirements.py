"""Expiration of versions and layers."""

import datetime

import strawberry

from graph.types.payloads import UserError
from graph.types.scalars import BigInt
from storage import MAX_KEPT


@strawberry.type(description="A version that expires.")
class Retirement:
    """The GraphQL type of `storage.maintenance.expiration.Retirement`."""

    version: int = strawberry.field(description="The number of the version.")
    reason: str = strawberry.field(description="Why retention does not keep it.")
    restorable_until: datetime.datetime | None = strawberry.field(
        description="Until when `restore` can bring the version back."
    )


@strawberry.type(
    description="A layer that no version references any more. It is dropped once no reader can be using it."
)
class LayerDrop:
    """The GraphQL type of `storage.maintenance.expiration.LayerDrop`."""

    layer: strawberry.ID = strawberry.field(description="The ID of the layer.")
    reason: str = strawberry.field(description="Why retention does not keep it.")
    bytes: BigInt = strawberry.field(
        description="The disk space that the layer takes on each replica set member, in bytes."
    )


@strawberry.type(description="A version that `keepVersion` keeps, whatever retention says.")
class KeptVersion:
    """The GraphQL type of `storage.catalog.expiration.KeptVersion`."""

    version: int = strawberry.field(description="The number of the version.")
    until: datetime.datetime = strawberry.field(description="Until when it is kept.")
    reason: str = strawberry.field(description="The reason that the caller of `keepVersion` gave.")


@strawberry.type(description="The result of `retain`.")
class RetainPayload:
    """The result of `retain`."""

    retirements: list[Retirement] = strawberry.field(default_factory=list, description="The versions that expire.")
    drops: list[LayerDrop] = strawberry.field(
        default_factory=list, description="The layers that are dropped later, once those versions have expired."
    )
    kept: list[KeptVersion] = strawberry.field(
        default_factory=list,
        description=f"The versions that `keepVersion` keeps, soonest to end first: at most {MAX_KEPT}.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="The errors that prevented the mutation. Empty on success."
    )
