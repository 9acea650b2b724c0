"""Mutations of ops."""

from dataclasses import replace
from typing import Annotated, cast

import strawberry

from graph.context import Context, Info
from graph.identity.requires import ADMINISTERING, OPERATING, needs
from graph.schema.errors import answer_refusals
from graph.types.gates import GatesInput
from graph.types.inputs import (
    CreatePriceListInput,
    PinInput,
    RestoreInput,
    RetainInput,
    RollbackInput,
    UnpinInput,
    UpdatePriceListInput,
)
from graph.types.payloads import PriceListPayload
from graph.types.price_lists import PriceList
from graph.types.retention import RetentionInput
from graph.types.retirements import LayerDrop, RetainPayload, Retirement
from storage import DEFAULT_RETENTION, Gates, Retention
from storage import PriceList as StoredPriceList


@strawberry.type
class ListMutations:
    """Mutations of ops."""

    @strawberry.mutation(description="Creates a list without a version.")
    @staticmethod
    @answer_refusals(PriceListPayload)
    @needs(ADMINISTERING, of="input.name")
    async def create_price_list(
        info: Info,
        input: Annotated[CreatePriceListInput, strawberry.argument(description="The list.")],  # noqa: A002
    ) -> PriceListPayload:
        """Create a list."""
        publisher, caller = info.context.store.publisher, info.context.caller.name
        retention = _retention(DEFAULT_RETENTION, input.retention)
        created = await publisher.create(input.name, input.description, _gates(input.gates), caller, retention)
        return await _payload(info.context, created)

    @strawberry.mutation(description="Changes what is said about a list; what is left out stays as it is.")
    @staticmethod
    @answer_refusals(PriceListPayload)
    @needs(ADMINISTERING, of="input.name")
    async def update_price_list(
        info: Info,
        input: Annotated[UpdatePriceListInput, strawberry.argument(description="The changes.")],  # noqa: A002
    ) -> PriceListPayload:
        """Change a list."""

        def changed(price_list: StoredPriceList) -> StoredPriceList:
            description = price_list.description if input.description is strawberry.UNSET else input.description
            gates = price_list.gates if input.gates is strawberry.UNSET else _gates(input.gates)
            retention = _retention(price_list.retention, input.retention)
            return replace(price_list, description=description, gates=gates, retention=retention)

        updated = await info.context.store.publisher.update(input.name, info.context.caller.name, changed)
        return await _payload(info.context, updated)

    @strawberry.mutation(
        description="Moves the pointer to an earlier version that is kept, at once. Nothing is copied."
    )
    @staticmethod
    @answer_refusals(PriceListPayload)
    @needs(OPERATING, of="input.price_list")
    async def rollback(
        info: Info,
        input: Annotated[RollbackInput, strawberry.argument(description="Where to.")],  # noqa: A002
    ) -> PriceListPayload:
        """Go back to an earlier version."""
        moved = await info.context.store.pointer_moves.rollback(
            input.price_list,
            input.to_version,
            by=info.context.caller.name,
            reason=input.reason,
            expected_version=input.expected_version,
            pin=input.pin,
        )
        return await _payload(info.context, moved)

    @strawberry.mutation(description="Holds a version: batches go on being sealed, none is published until unpinned.")
    @staticmethod
    @answer_refusals(PriceListPayload)
    @needs(OPERATING, of="input.price_list")
    async def pin(
        info: Info,
        input: Annotated[PinInput, strawberry.argument(description="What to hold.")],  # noqa: A002
    ) -> PriceListPayload:
        """Hold a version."""
        moved = await info.context.store.pointer_moves.pin(
            input.price_list, input.version, by=info.context.caller.name, reason=input.reason
        )
        return await _payload(info.context, moved)

    @strawberry.mutation(description="Lets the pointer go: the next batch is published again.")
    @staticmethod
    @answer_refusals(PriceListPayload)
    @needs(OPERATING, of="input.price_list")
    async def unpin(
        info: Info,
        input: Annotated[UnpinInput, strawberry.argument(description="What to let go.")],  # noqa: A002
    ) -> PriceListPayload:
        """Let the pointer go."""
        store, caller = info.context.store, info.context.caller.name
        unpin = store.finisher.publish_latest if input.publish_latest else store.pointer_moves.unpin
        moved = await unpin(input.price_list, by=caller, reason=input.reason)
        return await _payload(info.context, moved)

    @strawberry.mutation(
        description="Lets versions go that nothing keeps, as every process does by itself now and then. What was read "
        "a short time ago stays; what is found for the first time goes with the next run."
    )
    @staticmethod
    @answer_refusals(RetainPayload)
    @needs(OPERATING, of="input.price_list")
    async def retain(
        info: Info,
        input: Annotated[RetainInput, strawberry.argument(description="Of which list.")],  # noqa: A002
    ) -> RetainPayload:
        """Let versions go that nothing keeps."""
        retirer, caller = info.context.store.expirer, info.context.caller.name
        if input.dry_run:
            found = await retirer.plan(input.price_list)
        else:
            found = await retirer.retain(input.price_list, by=caller)
            await info.context.refresh_pointer(input.price_list)
        return RetainPayload(
            retirements=cast("list[Retirement]", found.retirements),
            drops=cast("list[LayerDrop]", found.drops),
        )

    @strawberry.mutation(description="Brings back a version that retention took, until its layers go.")
    @staticmethod
    @answer_refusals(PriceListPayload)
    @needs(OPERATING, of="input.price_list")
    async def restore(
        info: Info,
        input: Annotated[RestoreInput, strawberry.argument(description="Which one.")],  # noqa: A002
    ) -> PriceListPayload:
        """Bring back a version."""
        moved = await info.context.store.expirer.restore(
            input.price_list, input.version, by=info.context.caller.name, reason=input.reason
        )
        return await _payload(info.context, moved)


def _retention(now: Retention, given: RetentionInput | None) -> Retention:
    if given is None:
        return now
    return Retention(
        now.versions if given.versions is None else given.versions, now.days if given.days is None else given.days
    )


def _gates(given: GatesInput | None) -> Gates:
    if given is None:
        return Gates()
    currencies = given.allowed_currencies
    return Gates(
        given.max_shrink_percent,
        given.max_changed_percent,
        given.max_price_change_percent,
        None if currencies is None else tuple(currencies),
        given.min_size,
    )


async def _payload(context: Context, moved: StoredPriceList) -> PriceListPayload:
    await context.refresh_pointer(moved.name)
    return PriceListPayload(price_list=cast("PriceList", moved))
