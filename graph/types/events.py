"""Events: the audit log of a price list."""

import datetime
from functools import partial

import strawberry

from graph import cursors
from graph.context import Context, Info
from graph.identity.requires import as_parent
from graph.types.batches import Batch
from graph.types.connections import Connection
from graph.types.enums import describe_enum
from storage import Batch as StoredBatch
from storage import Event as StoredEvent
from storage import EventKind

describe_enum(
    EventKind,
    "The kind of an event.",
    {
        EventKind.CREATED: "The price list was created.",
        EventKind.DELETED: "The price list was deleted. Events before it are of another list with this name.",
        EventKind.UPDATED: "The description, gates or retention of the price list were changed.",
        EventKind.PUBLISHED: "A batch was published.",
        EventKind.ROLLED_BACK: "An earlier version was made current.",
        EventKind.PINNED: "A version was pinned.",
        EventKind.UNPINNED: "The pin was removed.",
        EventKind.HELD: "A batch was held by a gate, a pin, its publish policy or its schedule.",
        EventKind.APPROVED: "A held batch was approved: it was published, or is published when it is due.",
        EventKind.REJECTED: "A batch was rejected.",
        EventKind.ABORTED: "A batch was aborted.",
        EventKind.FAILED: "A batch failed.",
        EventKind.RETIRED: "A version expired.",
        EventKind.RESTORED: "An expired version was restored.",
        EventKind.PREVIEW_GRANTED: "A preview token of a held batch was granted.",
        EventKind.PREVIEW_REVOKED: "The preview tokens of a batch were revoked.",
        EventKind.RESCHEDULED: "A held batch was given another instant at which it is published, or none.",
        EventKind.KEPT: "`keepVersion` set until when a version is kept, or took that away.",
    },
)

Root = strawberry.Parent[StoredEvent]


@strawberry.type(description="An entry in the audit log of a price list.")
class Event:
    """The GraphQL type of `storage.Event`."""

    kind: EventKind = strawberry.field(description="The kind of the event.")
    at: datetime.datetime = strawberry.field(description="When the event happened.")
    by: str = strawberry.field(description="The caller that caused the event.")
    reason: str | None = strawberry.field(description="The reason that the caller gave.")
    from_version: int | None = strawberry.field(description="The version that was current before the event.")
    to_version: int | None = strawberry.field(description="The version that was current after the event.")

    version: int | None = strawberry.field(
        description="The version that the event is about: of the batch, or the version that became current, was "
        "pinned or unpinned, expired, was restored or kept. Null if it is about none."
    )

    release: strawberry.ID | None = strawberry.field(
        description="The ID of the release that caused the event. Null if none did."
    )

    @strawberry.field(description="The ID of the event.")
    @staticmethod
    @as_parent
    def id(root: Root) -> strawberry.ID:
        """Return the ID: the name of the list and the number of the event within it."""
        return strawberry.ID(f"{root.price_list}:{root.revision}")

    @strawberry.field(description="The batch that the event is about.", graphql_type=Batch | None)
    @staticmethod
    @as_parent
    async def batch(root: Root, info: Info) -> StoredBatch | None:
        """Return the batch that the event is about."""
        return await info.context.loaders.batches.load(root.batch) if root.batch else None


@strawberry.type(description="A period in which a version was current.")
class Exposure:
    """The GraphQL type of `storage.Exposure`."""

    from_: datetime.datetime = strawberry.field(name="from", description="When the version became current.")
    until: datetime.datetime | None = strawberry.field(
        description="When another version became current. Null while the version is current."
    )
    event: Event = strawberry.field(description="The event that made the version current.")


async def event_page(
    context: Context, price_list: str, first: int | None, after: str | None
) -> Connection[StoredEvent]:
    """Return a page of the events of a list, newest first."""
    cursor = cursors.decode(after, cursors.NumberCursor, "after")
    return Connection(
        page=await context.loaders.pages.events(
            price_list, cursors.page_size(first, 20), cursor.number if cursor else None
        ),
        cursor=lambda event: cursors.encode(cursors.NumberCursor(event.revision)),
        count=partial(context.loaders.pages.count_events, price_list),
    )
