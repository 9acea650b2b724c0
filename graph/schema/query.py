"""The root of all queries."""

import asyncio
import datetime
from functools import partial
from typing import Annotated

import strawberry

from graph import cursors
from graph.context import Context, Info, MaybeAwaitable
from graph.identity.callers import Caller as RequestCaller
from graph.identity.requires import INTERNALS, READING, requires, requires_anywhere, requires_credentials
from graph.node_ids import parse_node_id
from graph.schema.lookahead import version_of_cursors
from graph.types.batches import Batch
from graph.types.callers import Caller
from graph.types.connections import After, Connection, First
from graph.types.events import Event, event_page
from graph.types.node import Node
from graph.types.price_lists import PriceList
from graph.types.prices import VersionedPrice, versioned
from graph.types.releases import Release
from graph.types.snapshots import Snapshot
from storage import Batch as StoredBatch
from storage import BatchState, InvalidArgument, PriceListNotFound, ReleaseState, SnapshotNotFound, check_name
from storage import Event as StoredEvent
from storage import PriceList as StoredPriceList
from storage import Release as StoredRelease
from storage import Snapshot as StoredSnapshot


@strawberry.type(description="The root of all queries.")
class Query:
    """The root of all queries."""

    @strawberry.field(
        description="An immutable version of a price list. Without `version`, returns the version that the cursors of "
        "its `prices` field name, or else the current version at the start of the request. Null if no version has been "
        "published. Versions that have never been current exist only for callers who work on the price list, and for "
        "those who send a preview token of that `version`. With `asOf`, returns the version that was current at that "
        "instant, rollbacks included; null if it lies in the future by the database's clock, or before the first "
        "version of the price list was published.",
        graphql_type=Snapshot | None,
    )
    @staticmethod
    @requires(READING, price_list="price_list", version="version")
    def snapshot(
        info: Info,
        price_list: Annotated[strawberry.ID, strawberry.argument(description="The name of the price list.")],
        version: Annotated[int | None, strawberry.argument(description="The number of the version.")] = None,
        as_of: Annotated[
            datetime.datetime | None,
            strawberry.argument(
                description="An instant, instead of `version`. Use cursors only of the version that was current then."
            ),
        ] = None,
    ) -> MaybeAwaitable[StoredSnapshot]:
        """Return a version of a price list."""
        view = info.context.loaders.view
        if as_of is not None:
            if version is not None:
                raise InvalidArgument("`version` and `asOf` exclude each other: give one of them.", path=("asOf",))
            return view.as_of(price_list, as_of)
        if version is None:
            version = version_of_cursors(info)
        if version is None:
            return view.known_current(price_list) or view.current(price_list)
        return view.version(price_list, version)

    @strawberry.field(description="A price list. Null if it does not exist.", graphql_type=PriceList | None)
    @staticmethod
    @requires(READING, price_list="name")
    def price_list(
        info: Info, name: Annotated[strawberry.ID, strawberry.argument(description="The name of the price list.")]
    ) -> MaybeAwaitable[StoredPriceList]:
        """Return a price list."""
        view = info.context.loaders.view
        return view.known(name) or view.find(name)

    @strawberry.field(
        description="The price lists that the caller may read, by name.", graphql_type=Connection[PriceList]
    )
    @staticmethod
    @requires_anywhere(READING)
    async def price_lists(info: Info, first: First = 50, after: After = None) -> Connection[StoredPriceList]:
        """Return a page of the price lists, by name."""
        pages, cursor = info.context.loaders.pages, cursors.decode(after, cursors.NameCursor, "after")
        lists = info.context.caller.lists(READING)
        return Connection(
            page=await pages.price_lists(cursors.page_size(first, 50), cursor.name if cursor else None, lists),
            cursor=lambda price_list: cursors.encode(cursors.NameCursor(price_list.name)),
            count=partial(pages.count_price_lists, lists),
        )

    @strawberry.field(
        description="A batch. Null if it does not exist, or if the caller does not have access to it.",
        graphql_type=Batch | None,
    )
    @staticmethod
    @requires_anywhere(INTERNALS)
    async def batch(
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The ID of the batch.")],  # noqa: A002
    ) -> StoredBatch | None:
        """Return a batch."""
        return await _batch(info.context, id)

    @strawberry.field(
        description="The batches of all price lists that the caller works on, newest first.",
        graphql_type=Connection[Batch],
    )
    @staticmethod
    @requires_anywhere(INTERNALS)
    async def batches(
        info: Info,
        price_list: Annotated[
            strawberry.ID | None, strawberry.argument(description="Return only batches of this price list.")
        ] = None,
        state: Annotated[
            BatchState | None, strawberry.argument(description="Return only batches in this state.")
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[StoredBatch]:
        """Return a page of batches, newest first."""
        if price_list is not None:
            info.context.caller.require(INTERNALS, price_list)
            check_name(price_list, path=("priceList",))
        pages, cursor = info.context.loaders.pages, cursors.decode(after, cursors.NameCursor, "after")
        lists = info.context.caller.lists(INTERNALS)
        return Connection(
            page=await pages.batches(
                price_list, state, cursors.page_size(first, 20), cursor.name if cursor else None, lists
            ),
            cursor=lambda batch: cursors.encode(cursors.NameCursor(batch.id)),
            count=partial(pages.count_batches, price_list, state, lists),
        )

    @strawberry.field(
        description="A release. Null if it does not exist, or if the caller works on none of its price lists.",
        graphql_type=Release | None,
    )
    @staticmethod
    @requires_anywhere(INTERNALS)
    async def release(
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The ID of the release.")],  # noqa: A002
    ) -> StoredRelease | None:
        """Return a release."""
        return await info.context.loaders.releases.load(id)

    @strawberry.field(
        description="The releases that have a price list which the caller works on, or that have none yet, newest "
        "first.",
        graphql_type=Connection[Release],
    )
    @staticmethod
    @requires_anywhere(INTERNALS)
    async def releases(
        info: Info,
        state: Annotated[
            ReleaseState | None, strawberry.argument(description="Return only releases in this state.")
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[StoredRelease]:
        """Return a page of releases, newest first."""
        pages, cursor = info.context.loaders.pages, cursors.decode(after, cursors.NameCursor, "after")
        lists = info.context.caller.lists(INTERNALS)
        return Connection(
            page=await pages.releases(state, cursors.page_size(first, 20), cursor.name if cursor else None, lists),
            cursor=lambda release: cursors.encode(cursors.NameCursor(release.id)),
            count=partial(pages.count_releases, state, lists),
        )

    @strawberry.field(
        description="The audit log of a price list, newest first. The log of a deleted price list is kept, and "
        "continues if a price list of this name is created later.",
        graphql_type=Connection[Event],
    )
    @staticmethod
    @requires(INTERNALS, price_list="price_list")
    async def events(
        info: Info,
        price_list: Annotated[strawberry.ID, strawberry.argument(description="The name of the price list.")],
        first: First = 20,
        after: After = None,
    ) -> Connection[StoredEvent]:
        """Return a page of the events of a price list, newest first."""
        check_name(price_list, path=("priceList",))
        return await event_page(info.context, price_list, first, after)

    @strawberry.field(
        description="The caller and what it may do, so that a client offers only that. Requires no scope. "
        "No cache keeps the response.",
        graphql_type=Caller,
    )
    @staticmethod
    @requires_credentials
    def caller(info: Info) -> RequestCaller:
        """Return the caller of the request."""
        return info.context.caller

    @strawberry.field(
        description="The object with a global id: a price, a snapshot, a price list, a batch or a release. Requires "
        "the scopes of the field that returned the id. Null if it does not exist. Fails with `SNAPSHOT_EXPIRED` if its "
        "version has expired.",
        graphql_type=Node | None,
    )
    @staticmethod
    @requires_anywhere(READING)
    async def node(
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The global id.")],  # noqa: A002
    ) -> VersionedPrice | StoredSnapshot | StoredPriceList | StoredBatch | StoredRelease | None:
        """Return the object with a global id."""
        loaders, node_id = info.context.loaders, parse_node_id(id)
        if node_id is None:
            batch, release = await asyncio.gather(_batch(info.context, id), _release(info.context, id))
            return batch or release
        info.context.caller.require(READING, node_id.price_list)
        if node_id.version is None:
            return await loaders.view.find(node_id.price_list)
        try:
            snapshot = await loaders.view.version(node_id.price_list, node_id.version)
        except (PriceListNotFound, SnapshotNotFound):
            return None
        if node_id.sku is None:
            return snapshot
        return versioned(await loaders.prices.load(snapshot, node_id.sku), snapshot)


async def _batch(context: Context, batch_id: str) -> StoredBatch | None:
    """Return a batch; None if it does not exist or if the caller has no access to it."""
    batch = await context.loaders.batches.load(batch_id)
    return batch if batch and context.loaders.view.shows_unpublished(batch.price_list) else None


async def _release(context: Context, release_id: str) -> StoredRelease | None:
    """Return a release; None if it does not exist or if the caller has no access to it. The request becomes private."""
    release = await context.loaders.releases.load(release_id)
    if release:
        context.loaders.view.is_private = True
    return release
