"""What retention takes."""

import datetime

import strawberry

from graph.types.payloads import UserError
from graph.types.scalars import BigInt


@strawberry.type(description="A version that goes.")
class Retirement:
    """Shown of `storage.Retirement`."""

    version: int = strawberry.field(description="The version.")
    reason: str = strawberry.field(description="Why nothing keeps it.")
    restorable_until: datetime.datetime | None = strawberry.field(
        description="Until when it can be brought back by `restore`."
    )


@strawberry.type(description="A layer that no version names any more. It is dropped when nobody can be reading it.")
class LayerDrop:
    """Shown of `storage.LayerDrop`."""

    layer: strawberry.ID = strawberry.field(description="The layer's id.")
    reason: str = strawberry.field(description="Why nothing keeps it.")
    bytes: BigInt = strawberry.field(description="What it takes on the disk of a member.")


@strawberry.type(description="What retention did to a list, or would do.")
class RetainPayload:
    """What retention did to a list, or would do."""

    retirements: list[Retirement] = strawberry.field(default_factory=list, description="Versions that go.")
    drops: list[LayerDrop] = strawberry.field(default_factory=list, description="Layers that go with them, later.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty where it was."
    )
