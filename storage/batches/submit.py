"""The life of a batch that comes in one request: open, fill, seal, publish. It reads from top to bottom."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b

import msgspec

from storage.batches.finish import Finisher
from storage.batches.lease_renewal import holding
from storage.batches.repository import Batch, BatchMode, BatchOrder, BatchRepository, Refusal
from storage.batches.states import IN_PROGRESS, BatchState
from storage.catalog.price_lists import PriceListRepository
from storage.errors import EmptyBatch, IdempotencyKeyReused, InvalidArgument, LeaseLost, RemoveInReplace
from storage.files.errors import FileRefused
from storage.files.removals import with_removals
from storage.files.row_source import RowSource
from storage.layers.writer import Filled, Layers

MAX_KEY = 255

# How often one who waits for another process to finish a batch looks at it, in seconds.
JOIN_SECONDS = 0.05


class BatchSubmitter:
    """Takes batches in that come whole."""

    def __init__(
        self, price_lists: PriceListRepository, batches: BatchRepository, layers: Layers, finisher: Finisher
    ) -> None:
        self._price_lists = price_lists
        self._batches = batches
        self._layers = layers
        self._finisher = finisher

    async def submit(self, order: BatchOrder, source: RowSource, removals: Sequence[str] = ()) -> Batch:
        """Take in a whole batch and return it finished, or held.

        All rows go in and are published, or nothing changes. Called again with the same idempotency key it returns
        the same batch: it waits for the process that is at work on it, and takes over when that one goes silent.
        Raises `PriceListNotFound`, `EmptyBatch`, `InvalidArgument`, `RemoveInReplace`, `Conflict`,
        `IdempotencyKeyReused`, `Unavailable`.
        """
        check_order(order)
        if removals and order.mode is BatchMode.REPLACE:
            raise RemoveInReplace
        if source.expected == 0 and not removals:
            raise EmptyBatch
        if not await self._batches.by_key(order.price_list, order.key):
            (await self._price_lists.get(order.price_list)).expect(order.expected_version)
        expected = None if source.expected is None else source.expected + len(removals)
        batch, opened = await self._batches.open(order, _fingerprint(order, source, removals), expected)
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
                    return await self._run(taken, order, source, removals)
            await asyncio.sleep(JOIN_SECONDS)
            batch = await self._batches.get(batch.id)

    async def _run(self, batch: Batch, order: BatchOrder, source: RowSource, removals: Sequence[str]) -> Batch:
        filled = Filled()
        async with holding(self._batches, batch, filled):
            if batch.state is BatchState.OPEN:
                await self._layers.create(batch.layer)
                comparison = await self._finisher.comparison(batch.price_list)
                rows = with_removals(source.slices(), removals)
                try:
                    await self._layers.fill(batch.layer, rows, filled, comparison.add)
                except FileRefused as refused:
                    return await self._finisher.fail(batch, Refusal(refused.code, refused.message))
                if not filled.received:
                    return await self._finisher.fail(batch, Refusal(EmptyBatch.code, EmptyBatch().message))
                if filled.error_count:
                    fingerprint = _fingerprint(order, source, removals)
                    return await self._finisher.refuse_items(
                        batch, filled.errors, filled.error_count, filled.received, fingerprint=fingerprint
                    )
                # From here on any process can finish the batch, without its rows.
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
            return await self._finisher.finish(batch)


def check_order(order: BatchOrder) -> None:
    """Raise `InvalidArgument` for a key or a label that cannot be kept."""
    if not 1 <= len(order.key) <= MAX_KEY or not order.key.isprintable():
        raise InvalidArgument(
            f"An idempotency key has 1 to {MAX_KEY} printable characters.", path=("input", "idempotencyKey")
        )
    if order.label is not None and not 1 <= len(order.label) <= MAX_KEY:
        raise InvalidArgument(f"A label has 1 to {MAX_KEY} characters.", path=("input", "label"))


def order_fingerprint(order: BatchOrder, *parts: object) -> str:
    """Return the digest of an order and of what else makes up its body."""
    head = (order.price_list, order.mode, order.publish, order.expected_version, order.label, order.chunked)
    return blake2b(msgspec.json.encode((*head, *parts)), digest_size=16).hexdigest()


def _fingerprint(order: BatchOrder, source: RowSource, removals: Sequence[str]) -> str | None:
    """Return the digest of a whole batch; None as long as its file has not been read to the end."""
    return source.fingerprint and order_fingerprint(order, source.fingerprint, removals)
