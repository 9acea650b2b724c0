"""Batches that come in one request: opened, filled, sealed and published."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC
from hashlib import blake2b
from typing import Any

import msgspec

from storage.batches.admission import BatchAdmission, check_order, check_removals
from storage.batches.batch import Batch, BatchOrder, Refusal
from storage.batches.intake import Intake
from storage.batches.lease_renewal import keep_lease
from storage.batches.lifecycle import BatchLifecycle
from storage.batches.removal import BatchRemoval
from storage.batches.repository import BatchRepository
from storage.batches.sealing import BatchSealer
from storage.batches.staging import StagingRepository
from storage.batches.states import IN_PROGRESS, BatchState
from storage.errors import EmptyBatch, IdempotencyKeyReused, LeaseLost, PriceListNotFound
from storage.files.errors import FileRefused
from storage.files.row_source import RowSource
from storage.files.tombstones import with_tombstones

JOIN_INTERVAL_SECONDS = 0.05
"""Poll interval while another process works on the batch."""


class BatchSubmitter:
    """Takes in batches that come in one request."""

    def __init__(
        self,
        batches: BatchRepository,
        admission: BatchAdmission,
        staging: StagingRepository,
        sealer: BatchSealer,
        lifecycle: BatchLifecycle,
        removal: BatchRemoval,
    ) -> None:
        self._batches = batches
        self._admission = admission
        self._staging = staging
        self._sealer = sealer
        self._lifecycle = lifecycle
        self._removal = removal

    async def submit(self, order: BatchOrder, source: RowSource, removals: Sequence[str] = ()) -> Batch:
        """Take in a whole batch and return it finished, or held.

        All rows are published, or nothing changes. Called again with the same idempotency key, it returns the same
        batch: it waits for the process that works on the batch, and takes the batch over if that lease expires.
        Raises `PriceListNotFound`, `EmptyBatch`, `InvalidArgument`, `RemoveInReplace`, `Conflict`,
        `TooManyOpenBatches`, `TooManyHeldBatches`, `IdempotencyKeyReused`, `InvalidPublishAt`, `ReleaseNotFound`,
        `ReleaseNotOpen`, `ReleaseFull`, `Interrupted`, `Corrupt`, `Unavailable`.
        """
        check_order(order)
        check_removals(order.mode, removals)
        if source.expected == 0 and not removals:
            raise EmptyBatch
        expected = None if source.expected is None else source.expected + len(removals)
        batch, opened = await self._admission.open(order, _fingerprint(order, source, removals), expected)
        while True:
            if batch.fingerprint and not opened:
                await source.drain()
            fingerprint = _fingerprint(order, source, removals)
            if batch.fingerprint and fingerprint != batch.fingerprint:
                raise IdempotencyKeyReused(order.key, batch.id)
            if batch.state not in IN_PROGRESS:
                return batch
            taken = batch if opened else await self._lifecycle.take_over(batch.id)
            opened = False
            if taken:
                with suppress(LeaseLost):
                    return await self._run(taken, order, source, removals)
            await asyncio.sleep(JOIN_INTERVAL_SECONDS)
            seen, found = batch, await self._batches.find(batch.id)
            if found is None:  # the list was deleted
                await self._removal.remove([seen])
                raise PriceListNotFound(order.price_list)
            batch = found

    async def _run(self, batch: Batch, order: BatchOrder, source: RowSource, removals: Sequence[str]) -> Batch:
        """Take in, seal and publish a batch."""
        intake = Intake(self._staging, batch.id)
        is_open = batch.state is BatchState.OPEN
        async with keep_lease(self._batches, batch, intake if is_open else None):
            if is_open:
                try:
                    await intake.take(with_tombstones(source.slices(), removals), source.line_of)
                except FileRefused as refused:
                    failed = await self._lifecycle.fail(batch, Refusal(refused.code, refused.message))
                    await intake.discard()
                    return failed
                if not intake.received:
                    return await self._lifecycle.fail(batch, Refusal(EmptyBatch.code, EmptyBatch().message))
                fingerprint = _fingerprint(order, source, removals)
                if intake.error_count:
                    return await self._fail_items(batch, intake, fingerprint, source)
                batch = await self._store(batch, intake, fingerprint)
            return await self._lifecycle.finish(batch, source.line_of)

    async def _store(self, batch: Batch, intake: Intake, fingerprint: str | None) -> Batch:
        """Write the layer of a batch, or stage the rest of it. From then on any process can finish it."""
        stored: dict[str, Any]
        if intake.has_staged_runs:
            stored = {"runs": await intake.finish()}
        else:
            stored = {"layer": await self._sealer.write(batch, intake.run)}
        return await self._batches.advance(
            batch,
            BatchState.SEALING,
            fingerprint=fingerprint,
            rows=intake.accepted,
            received=intake.received,
            stored=intake.accepted,
            **stored,
        )

    async def _fail_items(self, batch: Batch, intake: Intake, fingerprint: str | None, source: RowSource) -> Batch:
        """Fail a batch with invalid items, and with the skus that were sent twice, wherever they are."""
        received = intake.received
        if intake.has_staged_runs:
            repeated = await self._sealer.find_repeated(batch, await intake.finish())
            if repeated:
                await intake.refuse(await repeated.errors_with_lines(source.line_of), repeated.count)
        failed = await self._lifecycle.fail_items(
            batch, intake.errors, intake.error_count, received, fingerprint=fingerprint
        )
        await intake.discard()
        return failed


def order_fingerprint(order: BatchOrder, *values: object) -> str:
    """Return the digest of an order and of further values of its request."""
    publish_at = order.publish_at and order.publish_at.astimezone(UTC)
    fields = (order.price_list, order.mode, order.publish, order.expected_version, order.label, order.chunked)
    return blake2b(msgspec.json.encode((*fields, publish_at, order.release, *values)), digest_size=16).hexdigest()


def _fingerprint(order: BatchOrder, source: RowSource, removals: Sequence[str]) -> str | None:
    """Return the digest of a whole batch; None until its file has been read to the end."""
    return source.fingerprint and order_fingerprint(order, source.fingerprint, removals)
