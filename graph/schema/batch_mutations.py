"""Mutations of batches."""

import asyncio
from typing import Annotated, cast

import strawberry

from graph.context import Context, Info
from graph.identity.requires import INTERNALS, OPERATING, WRITING, requires, requires_for_batch
from graph.schema.errors import return_user_errors
from graph.schema.row_source import create_row_source
from graph.types.batch_inputs import (
    AbortBatchInput,
    AppendBatchInput,
    CommitBatchInput,
    OpenBatchInput,
    PublishBatchInput,
    RescheduleBatchInput,
    ReviewBatchInput,
)
from graph.types.batches import Batch
from graph.types.payloads import BatchPayload, UserError
from graph.types.snapshots import Snapshot
from storage import Batch as StoredBatch
from storage import BatchOrder, BatchState, InvalidArgument, ItemError, Part, ReportRange

COMMIT_TIMEOUT_SECONDS = 20.0
"""A commit that takes longer returns the batch in the state SEALING."""


@strawberry.type
class BatchMutations:
    """Mutations of batches."""

    @strawberry.mutation(
        description="Submits and publishes a whole batch in one request. Either all of its prices are published, or "
        "nothing changes."
    )
    @staticmethod
    @return_user_errors(BatchPayload)
    @requires(WRITING, price_list="input.price_list")
    async def publish_batch(
        info: Info,
        input: Annotated[PublishBatchInput, strawberry.argument(description="The batch to submit.")],  # noqa: A002
    ) -> BatchPayload:
        """Submit a whole batch."""
        source, order = await create_row_source(input), _batch_order(info.context, input)
        return await _payload(
            info.context, await info.context.store.submitter.submit(order, source, input.remove or ())
        )

    @strawberry.mutation(
        description="Opens a batch that is sent in parts: for a batch that is too large for one request, or that must "
        "survive a broken connection."
    )
    @staticmethod
    @return_user_errors(BatchPayload)
    @requires(WRITING, price_list="input.price_list")
    async def open_batch(
        info: Info,
        input: Annotated[OpenBatchInput, strawberry.argument(description="The batch to open.")],  # noqa: A002
    ) -> BatchPayload:
        """Open a batch."""
        return await _payload(info.context, await info.context.store.multipart.open(_batch_order(info.context, input)))

    @strawberry.mutation(
        description="Stores one part of an open batch. Parts can be sent in any order and in parallel. Sending a part "
        "again is safe: a part that is already stored is acknowledged, not stored twice."
    )
    @staticmethod
    @return_user_errors(BatchPayload)
    @requires_for_batch(WRITING, batch="input.batch")
    async def append_batch(
        info: Info,
        input: Annotated[AppendBatchInput, strawberry.argument(description="The part to store.")],  # noqa: A002
    ) -> BatchPayload:
        """Store one part."""
        store, source = info.context.store, await create_row_source(input)
        part = await store.multipart.append(input.batch, input.sequence, source, input.remove or ())
        payload = await _payload(info.context, await store.batches.get(input.batch))
        if part.error_count:
            payload.user_errors.append(_part_invalid(part, await _first_error(info.context, input.batch, part)))
        return payload

    @strawberry.mutation(
        description="Completes a batch that was sent in parts: seals it, checks it and publishes it. If this takes "
        "longer than 20 seconds, returns the batch in the state `SEALING`; follow it with `batchProgress`."
    )
    @staticmethod
    @return_user_errors(BatchPayload)
    @requires_for_batch(WRITING, batch="input.batch")
    async def commit_batch(
        info: Info,
        input: Annotated[CommitBatchInput, strawberry.argument(description="The batch, and what it must contain.")],  # noqa: A002
    ) -> BatchPayload:
        """Commit a batch and wait until it is finished."""
        store = info.context.store
        batch, is_owner = await store.multipart.commit(input.batch, input.parts, input.size)
        if is_owner:
            await asyncio.wait([store.worker.finish(batch)], timeout=COMMIT_TIMEOUT_SECONDS)
            batch = await store.batches.get(batch.id)
        return await _payload(info.context, batch)

    @strawberry.mutation(description="Aborts an open batch and deletes its stored parts.")
    @staticmethod
    @return_user_errors(BatchPayload)
    @requires_for_batch(INTERNALS, batch="input.batch")
    async def abort_batch(
        info: Info,
        input: Annotated[AbortBatchInput, strawberry.argument(description="The batch to abort.")],  # noqa: A002
    ) -> BatchPayload:
        """Abort an open batch."""
        caller = info.context.caller.name
        batch = await info.context.store.multipart.abort(input.batch, by=caller, reason=input.reason)
        return BatchPayload(batch=cast("Batch", batch))

    @strawberry.mutation(
        description="Approves and publishes a held batch: one that a gate holds, that was sent with `publish: "
        "ON_APPROVAL`, or that is scheduled. A scheduled one is published now, unless `keepSchedule` is set. One "
        "that was sent with a release is published with that: the gates that have findings now do not hold it then."
    )
    @staticmethod
    @return_user_errors(BatchPayload)
    @requires_for_batch(OPERATING, batch="input.batch")
    async def approve_batch(
        info: Info,
        input: Annotated[ReviewBatchInput, strawberry.argument(description="The batch and the reason.")],  # noqa: A002
    ) -> BatchPayload:
        """Approve and publish a held batch, now or when it is due."""
        store = info.context.store
        approve = store.scheduling.approve if input.keep_schedule else store.lifecycle.approve
        approved = await approve(
            input.batch, by=info.context.caller.name, reason=input.reason, expected_version=input.expected_version
        )
        return await _payload(info.context, approved)

    @strawberry.mutation(description="Rejects a held batch, a scheduled one too. It can no longer be published.")
    @staticmethod
    @return_user_errors(BatchPayload)
    @requires_for_batch(OPERATING, batch="input.batch")
    async def reject_batch(
        info: Info,
        input: Annotated[ReviewBatchInput, strawberry.argument(description="The batch and the reason.")],  # noqa: A002
    ) -> BatchPayload:
        """Reject a held batch."""
        if input.keep_schedule:
            raise InvalidArgument("A rejected batch keeps no schedule.", path=("input", "keepSchedule"))
        batch = await info.context.store.lifecycle.reject(
            input.batch, by=info.context.caller.name, reason=input.reason, expected_version=input.expected_version
        )
        return BatchPayload(batch=cast("Batch", batch))

    @strawberry.mutation(
        description="Gives a held batch another instant at which it is published; also one that has none. With null it "
        "loses its schedule, and stays `HELD` for a review. A batch that has this instant already is returned "
        "unchanged."
    )
    @staticmethod
    @return_user_errors(BatchPayload)
    @requires_for_batch(OPERATING, batch="input.batch")
    async def reschedule_batch(
        info: Info,
        input: Annotated[RescheduleBatchInput, strawberry.argument(description="The batch and the instant.")],  # noqa: A002
    ) -> BatchPayload:
        """Reschedule a held batch."""
        if input.publish_at is strawberry.UNSET:
            raise InvalidArgument(
                "`publishAt` is missing. Give an instant, or null to take the schedule away.",
                path=("input", "publishAt"),
            )
        batch = await info.context.store.scheduling.reschedule(
            input.batch, input.publish_at, by=info.context.caller.name, reason=input.reason
        )
        return await _payload(info.context, batch)


def _batch_order(context: Context, order: PublishBatchInput | OpenBatchInput) -> BatchOrder:
    return BatchOrder(
        price_list=order.price_list,
        mode=order.mode,
        key=order.idempotency_key,
        by=context.caller.name,
        publish=order.publish,
        expected_version=order.expected_version,
        label=order.label,
        publish_at=order.publish_at,
        release=order.release,
    )


async def _payload(context: Context, batch: StoredBatch) -> BatchPayload:
    context.loaders.releases.clear_all()  # an earlier mutation of the request may have read that of the batch
    snapshot = None
    if batch.state in (BatchState.PUBLISHED, BatchState.HELD) and batch.version is not None:
        await context.refresh_pointer(batch.price_list)
        snapshot = await context.loaders.view.find_version(batch.price_list, batch.version)
    refusal = batch.refusal
    return BatchPayload(
        batch=cast("Batch", batch),
        snapshot=cast("Snapshot | None", snapshot),
        user_errors=[UserError(code=refusal.code, message=refusal.message)] if refusal else [],
    )


async def _first_error(context: Context, batch: str, part: Part) -> ItemError | None:
    """Return the first error of a part; None if it is not stored, because earlier parts have too many."""
    if part.error_report is None:
        return None
    [errors] = await context.store.item_errors.read([ReportRange(batch, part.error_report.id, 0, 1)])
    return next(iter(errors), None)


def _part_invalid(part: Part, first: ItemError | None) -> UserError:
    shown = f"The first is item {first.index}: {first.message} " if first else ""
    message = (
        f"{part.error_count} items of part {part.sequence} are invalid. {shown}"
        "The batch can no longer be published; commit it to see all errors, or abort it."
    )
    return UserError(code="BATCH_INVALID", message=message, path=["input", "sequence"])
