"""Events: who did what to a price list."""

import datetime

import strawberry

from graph.context import Info
from graph.identity.requires import as_parent
from graph.types.batches import Batch
from storage import Batch as StoredBatch
from storage import Event as StoredEvent
from storage import EventKind

strawberry.enum(EventKind, description="What happened.")

Root = strawberry.Parent[StoredEvent]


@strawberry.type(description="Something that was done to a price list.")
class Event:
    """Shown of `storage.Event`."""

    kind: EventKind = strawberry.field(description="What happened.")
    at: datetime.datetime = strawberry.field(description="When.")
    by: str = strawberry.field(description="Who did it.")
    reason: str | None = strawberry.field(description="Why.")
    from_version: int | None = strawberry.field(description="The version that was current before.")
    to_version: int | None = strawberry.field(description="The version that was current after.")

    @strawberry.field(description="The event's id.")
    @staticmethod
    @as_parent
    def id(root: Root) -> strawberry.ID:
        """The list's name and the event's number within it."""
        return strawberry.ID(f"{root.price_list}:{root.revision}")

    @strawberry.field(description="The batch that it was about.", graphql_type=Batch | None)
    @staticmethod
    @as_parent
    async def batch(root: Root, info: Info) -> StoredBatch | None:
        """The batch that it was about."""
        return await info.context.loaders.batches.load(root.batch) if root.batch else None
