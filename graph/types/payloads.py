"""What mutations answer."""

import strawberry

from graph.types.batches import Batch
from graph.types.price_lists import PriceList
from graph.types.snapshots import Snapshot


@strawberry.type(description="What the caller can mend.")
class UserError:
    """What the caller can mend."""

    code: str = strawberry.field(description="Stable, for programs.")
    message: str = strawberry.field(description="For people.")
    path: list[str] | None = strawberry.field(default=None, description="The argument that it is about.")


@strawberry.type(description="What became of a batch.")
class BatchPayload:
    """What became of a batch."""

    batch: Batch | None = strawberry.field(default=None, description="The batch; null where none was made.")
    snapshot: Snapshot | None = strawberry.field(default=None, description="The version that it made.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it came to nothing; empty where it went in."
    )


@strawberry.type(description="What became of a price list.")
class PriceListPayload:
    """What became of a price list."""

    price_list: PriceList | None = strawberry.field(default=None, description="The list as it is now.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was changed; empty where it was."
    )
