"""Batches that come in one request: opened, filled, sealed and published."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b

import msgspec

from storage.batches.admission import BatchAdmission, check_order, check_removals
from storage.batches.lease_renewal import keep_lease
from storage.batches.lifecycle import BatchLifecycle
from storage.batches.repository import Batch, BatchOrder, BatchRepository, Refusal
from storage.batches.states import IN_PROGRESS, BatchState
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.errors import EmptyBatch, IdempotencyKeyReused, LeaseLost
from storage.files.errors import FileRefused
from storage.files.row_source import RowSource
from storage.files.tombstones import with_tombstones
from storage.layers.writer import FillResult, LayerWriter

JOIN_INTERVAL_SECONDS = 0.05
"""Poll interval while another process works on the batch."""


class BatchSubmitter:
    """Takes in batches that come in one request."""

    def __init__(
        self,
        price_lists: PriceListRepository,
        batches: BatchRepository,
        admission: BatchAdmission,
        layer_writer: LayerWriter,
        lifecycle: BatchLifecycle,
    ) -> None:
        self._price_lists = price_lists
        self._batches = batches
        self._admission = admission
        self._layer_writer = layer_writer
        self._lifecycle = lifecycle

    async def submit(self, order: BatchOrder, source: RowSource, removals: Sequence[str] = ()) -> Batch:
        """Take in a whole batch and return it finished, or held.

        All rows are published, or nothing changes. Called again with the same idempotency key, it returns the same
        batch: it waits for the process that works on the batch, and takes the batch over if that lease expires.
        Raises `PriceListNotFound`, `EmptyBatch`, `InvalidArgument`, `RemoveInReplace`, `Conflict`,
        `TooManyOpenBatches`, `TooManyHeldBatches`, `IdempotencyKeyReused`, `Unavailable`.
        """
        check_order(order)
        check_removals(order.mode, removals)
        if source.expected == 0 and not removals:
            raise EmptyBatch
        expected = None if source.expected is None else source.expected + len(removals)
        batch, price_list = await self._admission.open(order, _fingerprint(order, source, removals), expected)
        opened = price_list is not None
        while True:
            if batch.fingerprint and not opened:
                await source.drain()
            fingerprint = _fingerprint(order, source, removals)
            if batch.fingerprint and fingerprint != batch.fingerprint:
                raise IdempotencyKeyReused(order.key, batch.id)
            if batch.state not in IN_PROGRESS:
                return batch
            taken = batch if opened else await self._batches.take_over(batch.id)
            opened = False
            if taken:
                with suppress(LeaseLost):
                    return await self._run(taken, order, source, removals, price_list)
            await asyncio.sleep(JOIN_INTERVAL_SECONDS)
            batch = await self._batches.get(batch.id)

    async def _run(
        self,
        batch: Batch,
        order: BatchOrder,
        source: RowSource,
        removals: Sequence[str],
        price_list: PriceList | None,
    ) -> Batch:
        """Fill, seal and publish a batch. `price_list` has the pointer as it was when the batch was admitted."""
        filled = FillResult()
        async with keep_lease(self._batches, batch, filled):
            if batch.state is BatchState.OPEN:
                price_list = price_list or await self._price_lists.get(batch.price_list)
                comparison = await self._lifecycle.begin_comparison(price_list)
                rows = with_tombstones(source.slices(), removals)
                try:
                    await self._layer_writer.fill(batch.layer, rows, filled, comparison.add)
                except FileRefused as refused:
                    return await self._lifecycle.fail(batch, Refusal(refused.code, refused.message))
                if not filled.received:
                    return await self._lifecycle.fail(batch, Refusal(EmptyBatch.code, EmptyBatch().message))
                if filled.error_count:
                    fingerprint = _fingerprint(order, source, removals)
                    return await self._lifecycle.fail_items(
                        batch, filled.errors, filled.error_count, filled.received, fingerprint=fingerprint
                    )
                # From here on any process can finish the batch without its rows.
                batch = await self._batches.advance(
                    batch,
                    BatchState.SEALING,
                    fingerprint=_fingerprint(order, source, removals),
                    rows=filled.stored.count,
                    received=filled.received,
                    stored=filled.stored.count,
                    checksum=filled.stored.hex,
                    changes=comparison.changes.to_document(),
                )
            return await self._lifecycle.finish(batch)


def order_fingerprint(order: BatchOrder, *values: object) -> str:
    """Return the digest of an order and of further values of its request."""
    fields = (order.price_list, order.mode, order.publish, order.expected_version, order.label, order.chunked)
    return blake2b(msgspec.json.encode((*fields, *values)), digest_size=16).hexdigest()


def _fingerprint(order: BatchOrder, source: RowSource, removals: Sequence[str]) -> str | None:
    """Return the digest of a whole batch; None until its file has been read to the end."""
    return source.fingerprint and order_fingerprint(order, source.fingerprint, removals)
