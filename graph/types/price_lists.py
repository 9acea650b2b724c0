"""Price lists, with their pointers."""

import datetime
from functools import partial
from typing import Annotated

import strawberry

from graph import cursors
from graph.context import Info
from graph.identity.requires import INSIDE, as_parent, needs
from graph.types.connections import Connection
from graph.types.diffs import PriceDiffConnection, diff_of
from graph.types.events import Event
from graph.types.gates import Gates
from graph.types.retention import Retention
from graph.types.snapshots import Snapshot
from storage import Event as StoredEvent
from storage import Gates as StoredGates
from storage import Pin as StoredPin
from storage import PriceList as StoredPriceList
from storage import Retention as StoredRetention
from storage import Snapshot as StoredSnapshot

Root = strawberry.Parent[StoredPriceList]

First = Annotated[int | None, strawberry.argument(description=f"How many; at most {cursors.MAX_PAGE}.")]
After = Annotated[str | None, strawberry.argument(description="Only those after this cursor.")]


@strawberry.type(description="The pointer held: batches are sealed and wait.")
class Pin:
    """Shown of `storage.Pin`."""

    version: int = strawberry.field(description="The version that is held.")
    reason: str = strawberry.field(description="Why.")
    by: str = strawberry.field(description="Who pinned it.")
    at: datetime.datetime = strawberry.field(description="When.")


@strawberry.type(description="A named set of prices with its own pointer and history.")
class PriceList:
    """Shown of `storage.PriceList`."""

    name: strawberry.ID = strawberry.field(description="The list's name.")
    description: str | None = strawberry.field(description="What it is for.")
    current_version: int | None = strawberry.field(
        name="currentVersion", description="The version that the pointer names; null before a first was published."
    )

    @strawberry.field(description="Set while the pointer is held.", graphql_type=Pin | None)
    @staticmethod
    @needs(INSIDE, of="root.name")
    def pin(root: Root, info: Info) -> StoredPin | None:
        """Who holds the pointer, and why."""
        return root.pin

    @strawberry.field(description="The checks between seal and publish.", graphql_type=Gates)
    @staticmethod
    @needs(INSIDE, of="root.name")
    def gates(root: Root, info: Info) -> StoredGates:
        """The checks between seal and publish."""
        return root.gates

    @strawberry.field(description="What keeps its versions.", graphql_type=Retention)
    @staticmethod
    @needs(INSIDE, of="root.name")
    def retention(root: Root, info: Info) -> StoredRetention:
        """What keeps its versions."""
        return root.retention

    @strawberry.field(description="The version that the pointer names.", graphql_type=Snapshot | None)
    @staticmethod
    @as_parent
    async def current(root: Root, info: Info) -> StoredSnapshot | None:
        """The version that the pointer names."""
        version = root.current_version
        return None if version is None else await info.context.loaders.view.version(root.name, version)

    @strawberry.field(description="Its versions that are kept, newest first.", graphql_type=Connection[Snapshot])
    @staticmethod
    @as_parent
    async def snapshots(root: Root, info: Info, first: First = 20, after: After = None) -> Connection[StoredSnapshot]:
        """A page of its versions, newest first."""
        pages, cursor = info.context.loaders.pages, cursors.read(after, cursors.NumberCursor, "after")
        return Connection(
            page=await pages.snapshots(root.name, cursors.page_size(first, 20), cursor.number if cursor else None),
            cursor=lambda snapshot: cursors.write(cursors.NumberCursor(snapshot.version)),
            count=partial(pages.count_snapshots, root.name),
        )

    @strawberry.field(
        description="What differs between two versions that are kept, in sku order. The cost follows what was merged "
        "between them, not the size of the list.",
        graphql_type=PriceDiffConnection,
    )
    @staticmethod
    @as_parent
    async def diff(
        root: Root,
        info: Info,
        from_: Annotated[int, strawberry.argument(name="from", description="The version before.")],
        to: Annotated[int, strawberry.argument(description="The version after; it may be the older one.")],
        first: First = 100,
        after: After = None,
    ) -> PriceDiffConnection:
        """A page of what differs between two versions."""
        return await diff_of(info.context, root.name, (from_, to), first, after)

    @strawberry.field(
        description="Who did what, when and why: newest first, append-only.", graphql_type=Connection[Event]
    )
    @staticmethod
    @needs(INSIDE, of="root.name")
    async def events(root: Root, info: Info, first: First = 20, after: After = None) -> Connection[StoredEvent]:
        """A page of its events, newest first."""
        pages, cursor = info.context.loaders.pages, cursors.read(after, cursors.NumberCursor, "after")

        async def count() -> int:
            # Events are numbered without a gap, with the pointer's revision.
            return root.revision

        return Connection(
            page=await pages.events(root.name, cursors.page_size(first, 20), cursor.number if cursor else None),
            cursor=lambda event: cursors.write(cursors.NumberCursor(event.revision)),
            count=count,
        )
