"""Mutations of integrators."""

from typing import Annotated, cast

import strawberry

from graph.context import Context, Info
from graph.errors import answer_refusals
from graph.rows import rows_of
from graph.types.batches import Batch
from graph.types.inputs import PublishBatchInput
from graph.types.payloads import BatchPayload, UserError
from graph.types.snapshots import Snapshot
from storage import Batch as StoredBatch
from storage import BatchMode, BatchOrder, InvalidArgument, PublishPolicy


@strawberry.type
class BatchMutations:
    """Mutations of integrators."""

    @strawberry.mutation(description="One call: all prices go in and are published, or nothing changes.")
    @staticmethod
    @answer_refusals(BatchPayload)
    async def publish_batch(
        info: Info,
        input: Annotated[PublishBatchInput, strawberry.argument(description="The batch.")],  # noqa: A002
    ) -> BatchPayload:
        """Take in a whole batch."""
        if input.mode is not BatchMode.REPLACE or input.publish is not PublishPolicy.WHEN_VALID:
            raise InvalidArgument("This release takes mode REPLACE with publish WHEN_VALID.", path=("input", "mode"))
        if input.prices is None:
            raise InvalidArgument("Send the prices.", path=("input", "prices"))
        order = BatchOrder(
            price_list=input.price_list,
            mode=input.mode,
            key=input.idempotency_key,
            by=info.context.caller,
            publish=input.publish,
            expected_version=input.expected_version,
            label=input.label,
        )
        batch = await info.context.store.intake.submit(order, rows_of(input.prices))
        return await _payload(info.context, batch)


async def _payload(context: Context, batch: StoredBatch) -> BatchPayload:
    await context.see_anew(batch.price_list)
    snapshot = None
    if batch.version is not None:
        snapshot = await context.loaders.view.version(batch.price_list, batch.version)
    refusal = batch.refusal
    return BatchPayload(
        batch=cast("Batch", batch),
        snapshot=cast("Snapshot | None", snapshot),
        user_errors=[UserError(code=refusal.code, message=refusal.message)] if refusal else [],
    )
