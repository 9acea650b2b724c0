"""Price lists."""

import datetime
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import strawberry

from graph import cursors
from graph.context import Info
from graph.identity.requires import INTERNALS, as_parent, requires
from graph.node_ids import price_list_id
from graph.types.batches import Batch
from graph.types.connections import After, Connection, First
from graph.types.diffs import PriceDiffConnection, diff_page
from graph.types.events import Event, Exposure, event_page
from graph.types.gates import Gates
from graph.types.node import Node
from graph.types.retention import Retention
from graph.types.snapshots import Snapshot
from storage import MAX_EXPOSURES, MAX_SKU_BYTES, Due
from storage import Batch as StoredBatch
from storage import Event as StoredEvent
from storage import Exposure as StoredExposure
from storage import Gates as StoredGates
from storage import Pin as StoredPin
from storage import PriceList as StoredPriceList
from storage import Retention as StoredRetention
from storage import Snapshot as StoredSnapshot

Root = strawberry.Parent[StoredPriceList]


@as_parent
def _global_id(root: Root) -> strawberry.ID:
    return strawberry.ID(price_list_id(root.name))


@strawberry.type(description="A pin on a version. While it exists, batches are sealed and held but not published.")
class Pin:
    """The GraphQL type of `storage.Pin`."""

    version: int = strawberry.field(description="The pinned version.")
    reason: str = strawberry.field(description="The reason for the pin.")
    by: str = strawberry.field(description="The caller that pinned the version.")
    at: datetime.datetime = strawberry.field(description="When the version was pinned.")


@strawberry.type(description="A named set of prices with versions, a current version and a history.")
class PriceList(Node):
    """The GraphQL type of `storage.PriceList`."""

    id: strawberry.ID = strawberry.field(resolver=_global_id, description="The global id.")
    name: strawberry.ID = strawberry.field(description="The unique name of the price list.")
    description: str | None = strawberry.field(description="The description of the price list.")
    current_version: int | None = strawberry.field(
        name="currentVersion",
        description="The number of the current version. Null before the first version is published.",
    )
    next_change_at: datetime.datetime | None = strawberry.field(
        description="When the current version is going to change, as far as is scheduled: the earliest `publishAt` of "
        "a scheduled batch. Null if nothing is scheduled."
    )

    @strawberry.field(
        description="The pin on the current version. Null if the price list is not pinned.", graphql_type=Pin | None
    )
    @staticmethod
    @requires(INTERNALS, price_list="root.name")
    def pin(root: Root, info: Info) -> StoredPin | None:
        """Return the pin of the list."""
        return root.pin

    @strawberry.field(
        description="The held batches that nothing but a pin held, the newest version first. `unpin` with "
        "`publishLatest` publishes the first and supersedes the others.",
        graphql_type=Connection[Batch],
    )
    @staticmethod
    @requires(INTERNALS, price_list="root.name")
    async def held_by_pin(root: Root, info: Info, first: First = 20, after: After = None) -> Connection[StoredBatch]:
        """Return a page of the batches that only a pin held, newest version first."""
        pages, cursor = info.context.loaders.pages, cursors.decode(after, cursors.NumberCursor, "after")
        return Connection(
            page=await pages.held_by_pin(root, cursors.page_size(first, 20), cursor.number if cursor else None),
            cursor=lambda batch: cursors.encode(cursors.NumberCursor(batch.version)),
            count=partial(pages.count_held_by_pin, root),
        )

    @strawberry.field(
        description="The scheduled batches, the next to be published first.", graphql_type=Connection[Batch]
    )
    @staticmethod
    @requires(INTERNALS, price_list="root.name")
    async def upcoming(root: Root, info: Info, first: First = 20, after: After = None) -> Connection[StoredBatch]:
        """Return a page of the scheduled batches, the next first."""
        pages, cursor = info.context.loaders.pages, cursors.decode(after, cursors.DueCursor, "after")
        return Connection(
            page=await pages.upcoming(root.name, cursors.page_size(first, 20), cursor.due if cursor else None),
            cursor=lambda batch: cursors.encode(cursors.DueCursor.of(Due(batch.publish_at, batch.release, batch.id))),
            count=partial(pages.count_upcoming, root.name),
        )

    @strawberry.field(description="The checks that a batch must pass between seal and publish.", graphql_type=Gates)
    @staticmethod
    @requires(INTERNALS, price_list="root.name")
    def gates(root: Root, info: Info) -> StoredGates:
        """Return the gates of the list."""
        return root.gates

    @strawberry.field(description="The rules that keep versions from expiring.", graphql_type=Retention)
    @staticmethod
    @requires(INTERNALS, price_list="root.name")
    def retention(root: Root, info: Info) -> StoredRetention:
        """Return the retention of the list."""
        return root.retention

    @strawberry.field(
        description="The current version. Null before the first version is published.", graphql_type=Snapshot | None
    )
    @staticmethod
    @as_parent
    async def current(root: Root, info: Info) -> StoredSnapshot | None:
        """Return the current version."""
        version = root.current_version
        return None if version is None else await info.context.loaders.view.version(root.name, version)

    @strawberry.field(
        description="The versions that have not expired, newest first. Those that have never been current are included "
        "only for callers who work on the price list.",
        graphql_type=Connection[Snapshot],
    )
    @staticmethod
    @as_parent
    async def snapshots(root: Root, info: Info, first: First = 20, after: After = None) -> Connection[StoredSnapshot]:
        """Return a page of the versions, newest first."""
        pages, cursor = info.context.loaders.pages, cursors.decode(after, cursors.NumberCursor, "after")
        return Connection(
            page=await pages.snapshots(root.name, cursors.page_size(first, 20), cursor.number if cursor else None),
            cursor=lambda snapshot: cursors.encode(cursors.NumberCursor(snapshot.version)),
            count=partial(pages.count_snapshots, root.name),
        )

    @strawberry.field(
        description="The differences between two versions, in sku order. As in `snapshots`, versions that have never "
        "been current exist only for callers who work on the price list. The cost depends on the prices merged between "
        "the versions, not on the size of the list.",
        graphql_type=PriceDiffConnection,
    )
    @staticmethod
    @as_parent
    async def diff(
        root: Root,
        info: Info,
        from_: Annotated[int, strawberry.argument(name="from", description="The version to compare from.")],
        to: Annotated[int, strawberry.argument(description="The version to compare to. It may be older than `from`.")],
        first: First = 100,
        after: Annotated[
            str | None,
            strawberry.argument(description="Return only items after this cursor. Use it with the same `skuPrefix`."),
        ] = None,
        sku_prefix: Annotated[
            str | None,
            strawberry.argument(
                description=f"Return only differences of skus with this prefix: at most {MAX_SKU_BYTES} characters. "
                "`totalCount`, `largest` and `distribution` count only those, `summary` counts all. `totalCount` then "
                "fails with `SCAN_LIMIT` as these do."
            ),
        ] = None,
    ) -> PriceDiffConnection:
        """Return a page of the differences between two versions."""
        return await diff_page(info.context, root.name, (from_, to), sku_prefix or "", first, after)

    @strawberry.field(
        description="The audit log of the price list: who did what, when and why, newest first.",
        graphql_type=Connection[Event],
    )
    @staticmethod
    @requires(INTERNALS, price_list="root.name")
    async def events(root: Root, info: Info, first: First = 20, after: After = None) -> Connection[StoredEvent]:
        """Return a page of the events, newest first."""
        return await event_page(info.context, root.name, first, after)

    @strawberry.field(
        description="The periods in which a version was current, newest first, also of one that has expired. Empty if "
        f"it never was. Returns the newest {MAX_EXPOSURES} periods.",
        graphql_type=list[Exposure],
    )
    @staticmethod
    @requires(INTERNALS, price_list="root.name")
    async def exposures(
        root: Root,
        info: Info,
        version: Annotated[int, strawberry.argument(description="The number of the version.")],
    ) -> Sequence[StoredExposure]:
        """Return the periods in which a version was current, newest first."""
        return await info.context.loaders.pages.exposures(root.name, version)
