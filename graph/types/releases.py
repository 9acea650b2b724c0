"""Releases: several price lists that change at the same moment."""

import asyncio
import datetime
from typing import cast

import strawberry

from graph.context import Info
from graph.identity.requires import as_parent
from graph.types.batches import Batch, Served
from graph.types.enums import describe_enum
from graph.types.node import Node
from graph.types.price_lists import PriceList
from storage import Release as StoredRelease
from storage import ReleaseState
from storage import Served as StoredServed

describe_enum(
    ReleaseState,
    "The state of a release. `ROLLED_BACK` and `DISCARDED` are final.",
    {
        ReleaseState.OPEN: "The release takes batches, and waits for `publishRelease` or `scheduleRelease`.",
        ReleaseState.SCHEDULED: "The release takes batches, and is published at its `publishAt`.",
        ReleaseState.PUBLISHED: "The versions of all its batches became current at the same moment.",
        ReleaseState.ROLLED_BACK: "All of its price lists went back to the versions before it, and were pinned there.",
        ReleaseState.DISCARDED: "The release was given up, and its batches were rejected.",
    },
)

Root = strawberry.Parent[StoredRelease]


@strawberry.type(description="One price list of a release, and the batch that changes it.")
class ReleaseItem:
    """The GraphQL type of `storage.ReleaseItem`."""

    price_list: PriceList = strawberry.field(description="The price list.")
    batch: Batch = strawberry.field(description="The batch that is published with the release.")
    from_version: int | None = strawberry.field(
        description="The version that was current before the release was published. Null until then, and if there was "
        "none."
    )
    to_version: int | None = strawberry.field(
        description="The version that became current with the release. Null until it is published."
    )


@strawberry.type(description="Batches of several price lists that are published at the same moment, or not at all.")
class Release(Node):
    """The GraphQL type of `storage.Release`."""

    id: strawberry.ID = strawberry.field(description="The ID of the release.")
    name: str = strawberry.field(description="The name of the release, for people. Several may have the same.")
    state: ReleaseState = strawberry.field(description="The state of the release.")
    publish_at: datetime.datetime | None = strawberry.field(
        description="When the release is to be published, by the clock of MongoDB. Of one that was published on "
        "schedule, when it was due. Null if it has no schedule, or its schedule was taken away."
    )
    published_at: datetime.datetime | None = strawberry.field(
        description="When the release was published. Null until then."
    )
    created_by: str = strawberry.field(description="The caller that created the release.")
    created_at: datetime.datetime = strawberry.field(description="When the release was created.")

    @strawberry.field(
        description="The price lists of the release that the caller works on, each with its sealed batch. Lists and "
        "batches that were deleted meanwhile are left out.",
        graphql_type=list[ReleaseItem],
    )
    @staticmethod
    @as_parent
    async def items(root: Root, info: Info) -> list[ReleaseItem]:
        """Return the items whose lists the caller works on."""
        loaders = info.context.loaders
        seen = [item for item in root.items if loaders.view.shows_unpublished(item.price_list)]
        batches = await asyncio.gather(*(loaders.batches.load(item.batch) for item in seen))
        price_lists = await asyncio.gather(*(loaders.view.find(item.price_list) for item in seen))
        return [
            ReleaseItem(
                price_list=cast("PriceList", price_list),
                batch=cast("Batch", batch),
                from_version=item.from_version,
                to_version=item.to_version,
            )
            for item, price_list, batch in zip(seen, price_lists, batches, strict=True)
            if price_list and batch
        ]

    @strawberry.field(
        description="How many of the live processes serve all price lists of the release at the versions that it made "
        "current, or later ones. Null until the release is published.",
        graphql_type=Served | None,
    )
    @staticmethod
    @as_parent
    async def served(root: Root, info: Info) -> StoredServed | None:
        """Return how many processes serve the release: as many as serve the list that the fewest serve."""
        loaders = info.context.loaders
        moved = [(item.price_list, item.revision) for item in root.items if item.revision is not None]
        existing = await asyncio.gather(*(loaders.view.find(name) for name, _ in moved))
        counts = await asyncio.gather(
            *(loaders.served.load(revision) for revision, price_list in zip(moved, existing, strict=True) if price_list)
        )
        return min(counts, key=lambda each: each.by, default=None)
