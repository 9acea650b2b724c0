"""The root of all subscriptions. Each event gets new loaders, so that it sees the current versions."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, cast

import strawberry

from graph.context import Context, Info
from graph.identity.requires import INTERNALS, READING, requires, requires_anywhere
from graph.types.batches import Batch
from graph.types.gates import DiffSummary
from graph.types.publications import Publication
from storage import UNFINISHED, Event, EventKind, InvalidArgument, is_cancelled

PROGRESS_INTERVAL_SECONDS = 0.2
"""Interval at which the state of a followed batch is read."""

MAX_MISSED_REVISIONS = 1000
"""Limit of the revisions whose changes are sent to a client that subscribes again."""


@strawberry.type(description="The root of all subscriptions.")
class Subscription:
    """The root of all subscriptions."""

    @strawberry.subscription(
        description="The current version of a price list at once, then every change of it by a publication, rollback "
        "or pin. With `after`, every change since that revision instead of the current version. Ends with the error "
        "`PRICE_LIST_NOT_FOUND` when the price list is deleted."
    )
    @staticmethod
    @requires(READING, price_list="price_list")
    async def published(
        info: Info,
        price_list: Annotated[strawberry.ID, strawberry.argument(description="The name of the price list.")],
        after: Annotated[
            int | None,
            strawberry.argument(
                description="The revision of the last change received, to miss none after a broken connection. If more "
                f"than {MAX_MISSED_REVISIONS} revisions have followed, the newest change alone is sent first."
            ),
        ] = None,
    ) -> AsyncGenerator[Publication, None]:
        """Follow the pointer of a price list."""
        context = info.context
        revision = (await context.pointers.get(price_list)).revision
        if after is not None and await _is_within_reach(context, price_list, after):
            revision = after
        elif last := await context.loaders.pages.last_move(price_list, revision):
            yield await _publication(context, last)
        while not is_cancelled():
            pointer = await context.pointers.wait_for_move(price_list, revision)
            for event in await _events_between(context, price_list, revision, pointer.revision):
                if event.moved and event.to_version is not None:
                    context.renew()
                    yield await _publication(context, event)
            revision = pointer.revision

    @strawberry.subscription(
        description="Every change of the current version of any price list that the caller may read, from now on. "
        "Lists created later are included. For clients that show all price lists: one that is slow receives only the "
        "newest change of each, and one that was disconnected reads the price lists again. To miss no change of one "
        "price list, use `published`."
    )
    @staticmethod
    @requires_anywhere(READING)
    async def publications(info: Info) -> AsyncGenerator[Publication, None]:
        """Follow the pointers of all price lists that the caller may read."""
        context = info.context
        seen, sent = await context.pointers.current(), dict[str, int]()
        while not is_cancelled():
            now = await context.pointers.wait_for_change(seen)
            for name in [name for name, pointer in now.items() if pointer is not seen.get(name)]:
                before = seen.get(name)
                event = await _newest_move(context, name, max(before.revision if before else 0, sent.get(name, 0)))
                if event:
                    sent[name] = event.revision
                    context.renew()
                    yield await _publication(context, event)
            seen = now
            sent = {name: revision for name, revision in sent.items() if revision > now[name].revision}

    @strawberry.subscription(
        description="The batch at once, then every change of its state and progress until it is finished."
    )
    @staticmethod
    @requires_anywhere(INTERNALS)
    async def batch_progress(
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The ID of the batch.")],  # noqa: A002
    ) -> AsyncGenerator[Batch, None]:
        """Follow a batch."""
        context, last = info.context, None
        while not is_cancelled():
            context.renew()
            batch = await context.batch_within(context.caller.lists(INTERNALS), id)
            if batch != last:
                yield cast("Batch", batch)
            if batch.state not in UNFINISHED:
                return
            last = batch
            await asyncio.sleep(PROGRESS_INTERVAL_SECONDS)


async def _is_within_reach(context: Context, price_list: str, after: int) -> bool:
    """Whether all changes after a revision are sent, not the newest alone. Raises `InvalidArgument` for a later one."""
    pointer = await context.pointers.get(price_list)
    if after > pointer.revision:  # this process may be behind the one that sent the last change
        pointer = await context.store.price_lists.get(price_list)
    if not 0 <= after <= pointer.revision:
        raise InvalidArgument(
            f"`after` is {after}, but the price list is at revision {pointer.revision}. Subscribe without `after`.",
            path=("after",),
        )
    return pointer.revision - after <= MAX_MISSED_REVISIONS


async def _newest_move(context: Context, price_list: str, above: int) -> Event | None:
    """Return the event that last moved the pointer that this process serves, if its revision is above another one.

    None for a list that the caller may not read, or that was deleted.
    """
    pointer = context.pointers.served[price_list]
    if pointer.current_version is None or pointer.revision <= above or price_list not in context.caller.lists(READING):
        return None
    event = await context.loaders.pages.last_move(price_list, pointer.revision)
    return event if event and event.revision > above else None


async def _events_between(context: Context, price_list: str, above: int, to: int) -> Sequence[Event]:
    """Return the events of a list with `above` < revision <= `to`, without those of an earlier list of its name."""
    events = await context.loaders.pages.events_between(price_list, above, to)
    deletions = [number for number, event in enumerate(events, 1) if event.kind is EventKind.DELETED]
    return events[deletions[-1] if deletions else 0 :]


async def _publication(context: Context, event: Event) -> Publication:
    batch = await context.loaders.batches.load(event.batch) if event.batch else None
    if event.to_version is None:
        raise AssertionError("An event that moved the pointer must name a version.")
    return Publication(
        price_list=strawberry.ID(event.price_list),
        revision=event.revision,
        version=event.to_version,
        previous_version=event.from_version,
        kind=event.kind,
        at=event.at,
        summary=cast("DiffSummary | None", batch.summary if batch else None),
        release=strawberry.ID(event.release) if event.release else None,
    )
