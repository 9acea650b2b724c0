"""Mutations of integrators."""

import asyncio
from typing import Annotated, cast

import strawberry

from graph.context import Context, Info
from graph.identity.requires import INSIDE, OPERATING, WRITING, needs, needs_for_batch
from graph.schema.errors import answer_refusals
from graph.schema.row_source import source_of
from graph.types.batches import Batch
from graph.types.inputs import (
    AbortBatchInput,
    AppendBatchInput,
    CommitBatchInput,
    OpenBatchInput,
    PublishBatchInput,
    ReviewBatchInput,
)
from graph.types.payloads import BatchPayload, UserError
from graph.types.snapshots import Snapshot
from storage import Batch as StoredBatch
from storage import BatchOrder, BatchState, Part

# A commit answers when the batch is finished, or after so many seconds with the batch in SEALING.
COMMIT_SECONDS = 20.0


@strawberry.type
class BatchMutations:
    """Mutations of integrators."""

    @strawberry.mutation(description="One call: all prices go in and are published, or nothing changes.")
    @staticmethod
    @answer_refusals(BatchPayload)
    @needs(WRITING, of="input.price_list")
    async def publish_batch(
        info: Info,
        input: Annotated[PublishBatchInput, strawberry.argument(description="The batch.")],  # noqa: A002
    ) -> BatchPayload:
        """Take in a whole batch."""
        source, order = await source_of(input), _order(info.context, input)
        return await _payload(
            info.context, await info.context.store.submitter.submit(order, source, input.remove or ())
        )

    @strawberry.mutation(description="A batch too large for one request, or one that must survive a broken connection.")
    @staticmethod
    @answer_refusals(BatchPayload)
    @needs(WRITING, of="input.price_list")
    async def open_batch(
        info: Info,
        input: Annotated[OpenBatchInput, strawberry.argument(description="The batch.")],  # noqa: A002
    ) -> BatchPayload:
        """Open a batch."""
        return await _payload(info.context, await info.context.store.multipart.open(_order(info.context, input)))

    @strawberry.mutation(
        description="Any order, in parallel, repeatable: a sequence number that was already stored is acknowledged, "
        "not stored twice."
    )
    @staticmethod
    @answer_refusals(BatchPayload)
    @needs_for_batch(WRITING, of="input.batch")
    async def append_batch(
        info: Info,
        input: Annotated[AppendBatchInput, strawberry.argument(description="The part.")],  # noqa: A002
    ) -> BatchPayload:
        """Store one part."""
        store, source = info.context.store, await source_of(input)
        part = await store.multipart.append(input.batch, input.sequence, source, input.remove or ())
        payload = await _payload(info.context, await store.batches.get(input.batch))
        return _with_errors(payload, part) if part.error_count else payload

    @strawberry.mutation(description="Closes a batch that came in parts: it is sealed, judged and published.")
    @staticmethod
    @answer_refusals(BatchPayload)
    @needs_for_batch(WRITING, of="input.batch")
    async def commit_batch(
        info: Info,
        input: Annotated[CommitBatchInput, strawberry.argument(description="What was sent.")],  # noqa: A002
    ) -> BatchPayload:
        """Close a batch and finish it."""
        store = info.context.store
        batch, mine = await store.multipart.commit(input.batch, input.parts, input.size)
        if mine:
            await asyncio.wait([store.worker.finish(batch)], timeout=COMMIT_SECONDS)
            batch = await store.batches.get(batch.id)
        return await _payload(info.context, batch)

    @strawberry.mutation(description="Gives up an open batch; what it stored is dropped.")
    @staticmethod
    @answer_refusals(BatchPayload)
    @needs_for_batch(INSIDE, of="input.batch")
    async def abort_batch(
        info: Info,
        input: Annotated[AbortBatchInput, strawberry.argument(description="Which one.")],  # noqa: A002
    ) -> BatchPayload:
        """Give up an open batch."""
        caller = info.context.caller.name
        batch = await info.context.store.multipart.abort(input.batch, by=caller, reason=input.reason)
        return BatchPayload(batch=cast("Batch", batch))

    @strawberry.mutation(description="Publishes a batch that a gate held, or that was sent with publish: ON_APPROVAL.")
    @staticmethod
    @answer_refusals(BatchPayload)
    @needs_for_batch(OPERATING, of="input.batch")
    async def approve_batch(
        info: Info,
        input: Annotated[ReviewBatchInput, strawberry.argument(description="The decision.")],  # noqa: A002
    ) -> BatchPayload:
        """Publish a batch that is held."""
        finisher, caller = info.context.store.finisher, info.context.caller.name
        return await _payload(info.context, await finisher.approve(input.batch, by=caller, reason=input.reason))

    @strawberry.mutation(description="Puts an end to a batch that is held.")
    @staticmethod
    @answer_refusals(BatchPayload)
    @needs_for_batch(OPERATING, of="input.batch")
    async def reject_batch(
        info: Info,
        input: Annotated[ReviewBatchInput, strawberry.argument(description="The decision.")],  # noqa: A002
    ) -> BatchPayload:
        """Reject a batch that is held."""
        finisher, caller = info.context.store.finisher, info.context.caller.name
        batch = await finisher.reject(input.batch, by=caller, reason=input.reason)
        return BatchPayload(batch=cast("Batch", batch))


def _order(context: Context, given: PublishBatchInput | OpenBatchInput) -> BatchOrder:
    return BatchOrder(
        price_list=given.price_list,
        mode=given.mode,
        key=given.idempotency_key,
        by=context.caller.name,
        publish=given.publish,
        expected_version=given.expected_version,
        label=given.label,
    )


async def _payload(context: Context, batch: StoredBatch) -> BatchPayload:
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


def _with_errors(payload: BatchPayload, part: Part) -> BatchPayload:
    first = part.errors[0]
    message = (
        f"{part.error_count} items of sequence {part.sequence} are not valid, the first is item {first.index}: "
        f"{first.message} The batch cannot be published any more; commit it to see all errors, or abort it."
    )
    payload.user_errors.append(UserError(code="BATCH_INVALID", message=message, path=["input", "sequence"]))
    return payload
