"""The root of all subscriptions. Each event gets new loaders, so that it sees the current versions."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, ParamSpec, TypeVar, cast

import strawberry

from graph.context import Context, Info
from graph.identity.requires import INTERNALS, READING, requires, requires_anywhere
from graph.types.batches import Batch
from graph.types.gates import DiffSummary
from graph.types.publications import Publication
from storage import UNFINISHED, Event

PROGRESS_INTERVAL_SECONDS = 0.2
"""Interval at which the state of a followed batch is read."""

P = ParamSpec("P")
T = TypeVar("T")


def until_drained(resolver: Callable[P, AsyncGenerator[T, None]]) -> Callable[P, AsyncGenerator[T, None]]:
    """Complete a subscription when its process drains."""

    @functools.wraps(resolver)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        context = cast("Info", kwargs["info"]).context
        async with aclosing(context.drain.until_ended(resolver(*args, **kwargs))) as values:
            async for value in values:
                yield value

    return wrapper


@strawberry.type(description="The root of all subscriptions.")
class Subscription:
    """The root of all subscriptions."""

    @strawberry.subscription(
        description="The current version of a price list at once, then every change of it by a publication, rollback "
        "or pin."
    )
    @staticmethod
    @requires(READING, price_list="price_list")
    @until_drained
    async def published(
        info: Info, price_list: Annotated[strawberry.ID, strawberry.argument(description="The name of the price list.")]
    ) -> AsyncGenerator[Publication, None]:
        """Follow the pointer of a price list."""
        context = info.context
        pointer = await context.pointers.get(price_list)
        last = await context.loaders.pages.last_move(price_list, pointer.revision)
        if last:
            yield await _publication(context, last)
        revision = pointer.revision
        while True:
            pointer = await context.pointers.wait_for_move(price_list, revision)
            for event in await context.loaders.pages.events_between(price_list, revision, pointer.revision):
                if event.moved:
                    context.renew()
                    yield await _publication(context, event)
            revision = pointer.revision

    @strawberry.subscription(
        description="The batch at once, then every change of its state and progress until it is finished."
    )
    @staticmethod
    @requires_anywhere(INTERNALS)
    @until_drained
    async def batch_progress(
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The ID of the batch.")],  # noqa: A002
    ) -> AsyncGenerator[Batch, None]:
        """Follow a batch."""
        context, last = info.context, None
        while True:
            context.renew()
            batch = await context.batch_within(context.caller.lists(INTERNALS), id)
            if batch != last:
                yield cast("Batch", batch)
            if batch.state not in UNFINISHED:
                return
            last = batch
            await asyncio.sleep(PROGRESS_INTERVAL_SECONDS)


async def _publication(context: Context, event: Event) -> Publication:
    batch = await context.loaders.batches.load(event.batch) if event.batch else None
    if event.to_version is None:
        raise AssertionError("An event that moved the pointer must name a version.")
    return Publication(
        price_list=strawberry.ID(event.price_list),
        version=event.to_version,
        previous_version=event.from_version,
        kind=event.kind,
        at=event.at,
        summary=cast("DiffSummary | None", batch.summary if batch else None),
    )
