"""Mutations of price lists: settings, rollbacks, pins and retention."""

from typing import Annotated, cast

import strawberry
from msgspec.structs import replace

from graph.context import Context, Info
from graph.identity.requires import ADMINISTERING, OPERATING, requires
from graph.node_ids import price_list_id
from graph.schema.errors import return_user_errors
from graph.types.gates import GatesInput
from graph.types.list_inputs import (
    CreatePriceListInput,
    DeletePriceListInput,
    KeepVersionInput,
    PinInput,
    RestoreInput,
    RetainInput,
    RollbackInput,
    UnpinInput,
    UpdatePriceListInput,
)
from graph.types.payloads import DeletePriceListPayload, PriceListPayload
from graph.types.price_lists import PriceList
from graph.types.retention import RetentionInput
from graph.types.retirements import KeptVersion, LayerDrop, RetainPayload, Retirement
from storage import DEFAULT_RETENTION, DELETE_IDLE_HOURS, ExpectedLatest, Gates, InvalidArgument, Retention
from storage import PriceList as StoredPriceList


@strawberry.type
class ListMutations:
    """Mutations of price lists."""

    @strawberry.mutation(description="Creates an empty price list. It has no version until a batch is published.")
    @staticmethod
    @return_user_errors(PriceListPayload)
    @requires(ADMINISTERING, price_list="input.name")
    async def create_price_list(
        info: Info,
        input: Annotated[CreatePriceListInput, strawberry.argument(description="The price list to create.")],  # noqa: A002
    ) -> PriceListPayload:
        """Create a price list."""
        editor, caller = info.context.store.price_list_editor, info.context.caller.name
        retention = _merged_retention(DEFAULT_RETENTION, input.retention)
        created = await editor.create(input.name, input.description, _gates(input.gates), caller, retention)
        return await _payload(info.context, created)

    @strawberry.mutation(
        description="Updates the description, gates and retention of a price list. Fields that are left out stay "
        "unchanged."
    )
    @staticmethod
    @return_user_errors(PriceListPayload)
    @requires(ADMINISTERING, price_list="input.name")
    async def update_price_list(
        info: Info,
        input: Annotated[UpdatePriceListInput, strawberry.argument(description="The changes.")],  # noqa: A002
    ) -> PriceListPayload:
        """Update a price list."""

        def apply(price_list: StoredPriceList) -> StoredPriceList:
            description = price_list.description if input.description is strawberry.UNSET else input.description
            gates = price_list.gates if input.gates is strawberry.UNSET else _gates(input.gates)
            retention = _merged_retention(price_list.retention, input.retention)
            return replace(price_list, description=description, gates=gates, retention=retention)

        expected = None if input.expected_gates is None else _gates(input.expected_gates)
        editor, caller = info.context.store.price_list_editor, info.context.caller.name
        updated = await editor.update(input.name, caller, apply, expected_gates=expected)
        return await _payload(info.context, updated)

    @strawberry.mutation(
        description="Deletes a price list with its versions and batches, which cannot be undone. Its events stay, and "
        "its version numbers are not used again if a price list of this name is created later. Refused with "
        "`PRICE_LIST_IN_USE` if a batch is in progress, waits in a release or was published recently (by default, in "
        f"the last {DELETE_IDLE_HOURS:g} hours), unless `force` is set."
    )
    @staticmethod
    @return_user_errors(DeletePriceListPayload)
    @requires(ADMINISTERING, price_list="input.name")
    async def delete_price_list(
        info: Info,
        input: Annotated[DeletePriceListInput, strawberry.argument(description="The price list to delete.")],  # noqa: A002
    ) -> DeletePriceListPayload:
        """Delete a price list."""
        if input.confirm_name != input.name:
            raise InvalidArgument(
                "`confirmName` is not the name of the price list. Repeat the name to confirm.",
                path=("input", "confirmName"),
            )
        store, caller = info.context.store, info.context.caller.name
        deleted = await store.deleter.delete(input.name, by=caller, reason=input.reason, force=input.force)
        store.worker.purge(deleted.name)
        await info.context.switch_to({deleted.name: deleted.revision})
        return DeletePriceListPayload(deleted_id=strawberry.ID(price_list_id(deleted.name)))

    @strawberry.mutation(
        description="Makes an earlier version current again, at once and without copying data. Pins it by default."
    )
    @staticmethod
    @return_user_errors(PriceListPayload)
    @requires(OPERATING, price_list="input.price_list")
    async def rollback(
        info: Info,
        input: Annotated[RollbackInput, strawberry.argument(description="The version to roll back to.")],  # noqa: A002
    ) -> PriceListPayload:
        """Roll back to an earlier version."""
        moved = await info.context.store.pointer_moves.rollback(
            input.price_list,
            input.to_version,
            by=info.context.caller.name,
            reason=input.reason,
            expected_version=input.expected_version,
            pin=input.pin,
        )
        return await _payload(info.context, moved)

    @strawberry.mutation(
        description="Makes a version current and pins it. While a price list is pinned, batches are sealed and held, "
        "but not published."
    )
    @staticmethod
    @return_user_errors(PriceListPayload)
    @requires(OPERATING, price_list="input.price_list")
    async def pin(
        info: Info,
        input: Annotated[PinInput, strawberry.argument(description="The version to pin.")],  # noqa: A002
    ) -> PriceListPayload:
        """Pin a version."""
        moved = await info.context.store.pointer_moves.pin(
            input.price_list,
            input.version,
            by=info.context.caller.name,
            reason=input.reason,
            expected_version=input.expected_version,
        )
        return await _payload(info.context, moved)

    @strawberry.mutation(
        description="Removes the pin of a price list, so that the next batch is published again. Batches that were "
        "held stay held unless `publishLatest` is set."
    )
    @staticmethod
    @return_user_errors(PriceListPayload)
    @requires(OPERATING, price_list="input.price_list")
    async def unpin(
        info: Info,
        input: Annotated[UnpinInput, strawberry.argument(description="The price list to unpin.")],  # noqa: A002
    ) -> PriceListPayload:
        """Unpin a price list."""
        store, caller = info.context.store, info.context.caller.name
        name, expected_version = input.price_list, input.expected_version
        if input.expected_batch is not None and not input.publish_latest:
            raise InvalidArgument(
                "`expectedBatch` needs `publishLatest`. Set it, or leave `expectedBatch` out.",
                path=("input", "expectedBatch"),
            )
        if input.publish_latest:
            expected = ExpectedLatest(expected_version, input.expected_batch)
            moved = await store.lifecycle.publish_latest(name, by=caller, reason=input.reason, expected=expected)
        else:
            moved = await store.pointer_moves.unpin(
                name, by=caller, reason=input.reason, expected_version=expected_version
            )
        if moved.superseded_before is not None:
            store.worker.end_superseded(moved.name)
        return await _payload(info.context, moved)

    @strawberry.mutation(
        description="Expires the versions that retention does not keep, as the maintenance does in the background. "
        "Versions that were read recently are kept. A version that qualifies for the first time is only marked, and "
        "expires in a later run."
    )
    @staticmethod
    @return_user_errors(RetainPayload)
    @requires(OPERATING, price_list="input.price_list")
    async def retain(
        info: Info,
        input: Annotated[RetainInput, strawberry.argument(description="The price list whose versions to expire.")],  # noqa: A002
    ) -> RetainPayload:
        """Expire the versions that retention does not keep."""
        expirer, caller = info.context.store.expirer, info.context.caller.name
        if input.dry_run:
            result = await expirer.plan(input.price_list)
        else:
            result = await expirer.expire(input.price_list, by=caller)
            await info.context.refresh_pointer(input.price_list)
        return RetainPayload(
            retirements=cast("list[Retirement]", result.retirements),
            drops=cast("list[LayerDrop]", result.drops),
            kept=cast("list[KeptVersion]", await expirer.kept(input.price_list, result.now)),
        )

    @strawberry.mutation(description="Restores an expired version, as long as its layers have not been released.")
    @staticmethod
    @return_user_errors(PriceListPayload)
    @requires(OPERATING, price_list="input.price_list")
    async def restore(
        info: Info,
        input: Annotated[RestoreInput, strawberry.argument(description="The version to restore.")],  # noqa: A002
    ) -> PriceListPayload:
        """Restore an expired version."""
        moved = await info.context.store.expirer.restore(
            input.price_list, input.version, by=info.context.caller.name, reason=input.reason
        )
        return await _payload(info.context, moved)

    @strawberry.mutation(
        description="Keeps a version until an instant, whatever retention says; null keeps it no longer. It replaces "
        "what was set before. Deleting the price list removes the version nevertheless."
    )
    @staticmethod
    @return_user_errors(PriceListPayload)
    @requires(OPERATING, price_list="input.price_list")
    async def keep_version(
        info: Info,
        input: Annotated[KeepVersionInput, strawberry.argument(description="The version to keep.")],  # noqa: A002
    ) -> PriceListPayload:
        """Keep a version until an instant."""
        if input.until is strawberry.UNSET:
            raise InvalidArgument(
                "`until` is missing. Give an instant, or null to keep the version no longer.", path=("input", "until")
            )
        moved = await info.context.store.version_keeper.keep(
            input.price_list, input.version, until=input.until, by=info.context.caller.name, reason=input.reason
        )
        return await _payload(info.context, moved)


def _merged_retention(current: Retention, changes: RetentionInput | None) -> Retention:
    if changes is None:
        return current
    return Retention(
        current.versions if changes.versions is None else changes.versions,
        current.days if changes.days is None else changes.days,
        current.thin if changes.thin is None else changes.thin,
    )


def _gates(gates: GatesInput | None) -> Gates:
    if gates is None:
        return Gates()
    currencies = gates.allowed_currencies
    return Gates(
        gates.max_shrink_percent,
        gates.max_changed_percent,
        gates.max_price_change_percent,
        None if currencies is None else tuple(currencies),
        gates.min_size,
    )


async def _payload(context: Context, moved: StoredPriceList) -> PriceListPayload:
    await context.refresh_pointer(moved.name)
    return PriceListPayload(price_list=cast("PriceList", moved))
