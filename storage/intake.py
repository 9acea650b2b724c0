"""The life of a batch that comes in one request: open, fill, seal, publish. It reads from top to bottom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b

import msgspec
from pymongo.errors import PyMongoError

from storage import leases
from storage.batches import Batch, Batches, BatchOrder, Refusal
from storage.checksum import Checksum
from storage.decode import Slice, decode_slices, split_rows
from storage.errors import Corrupt, EmptyBatch, InvalidArgument, LeaseLost
from storage.layers import Filled, Layers
from storage.pointers import Pointers
from storage.publish import Publisher
from storage.states import IN_PROGRESS, BatchState

MAX_KEY = 255

# How often one who waits for another process to finish a batch looks at it, in seconds.
JOIN_SECONDS = 0.05


class Intake:
    """Takes batches in."""

    def __init__(self, pointers: Pointers, batches: Batches, layers: Layers, publisher: Publisher) -> None:
        self._pointers = pointers
        self._batches = batches
        self._layers = layers
        self._publisher = publisher

    async def submit(self, order: BatchOrder, rows: bytes | memoryview) -> Batch:
        """Take in a whole batch and return it finished, or held. `rows` is the JSON array of its prices.

        All rows go in and are published, or nothing changes. Called again with the same idempotency key it returns
        the same batch: it waits for the process that is at work on it, and takes over when that one goes silent.
        Raises `PriceListNotFound`, `EmptyBatch`, `InvalidArgument`, `Conflict`, `IdempotencyKeyReused`, `Unavailable`.
        """
        _check(order)
        items = split_rows(rows)
        if not items:
            raise EmptyBatch
        fingerprint = await asyncio.to_thread(_fingerprint, order, rows)
        if not await self._batches.by_key(order.price_list, order.key):
            (await self._pointers.get(order.price_list)).expect(order.expected_version)
        batch, opened = await self._batches.open(order, fingerprint, len(items))
        while batch.state in IN_PROGRESS:
            taken = batch if opened else await self._batches.take_over(batch.id)
            opened = False
            if taken:
                with suppress(LeaseLost):
                    return await self._run(taken, items)
            await asyncio.sleep(JOIN_SECONDS)
            batch = await self._batches.get(batch.id)
        return batch

    async def _run(self, batch: Batch, items: list[msgspec.Raw]) -> Batch:
        filled = Filled()
        async with self._holding(batch, filled, len(items)):
            if batch.state is BatchState.OPEN:
                await self._layers.create(batch.layer)
                await self._layers.fill(batch.layer, _slices(items), filled)
                if filled.error_count:
                    return await self._fail(batch, filled, len(items))
                batch = await self._seal(batch, filled.stored)
            return await self._finish(batch)

    async def _seal(self, batch: Batch, received: Checksum) -> Batch:
        """Note what was received: from here on any process can finish the batch without its rows."""
        return await self._batches.advance(
            batch, BatchState.SEALING, size=received.count, received=received.count, checksum=received.hex
        )

    async def _finish(self, batch: Batch) -> Batch:
        """Freeze the layer, compare what a majority has of it with what was received, and publish."""
        await self._layers.freeze(batch.layer)
        stored = await self._layers.read_back(batch.layer)
        if (stored.count, stored.hex) != (batch.size, batch.checksum):
            message = f"{batch.size} prices were received, but {stored.count} others were read back."
            await self._publisher.fail(batch, Refusal(Corrupt.code, message))
            raise Corrupt(f"Batch {batch.id}: {message} Nothing was published; send it again with a new key.")
        return await self._publisher.publish(batch)

    async def _fail(self, batch: Batch, filled: Filled, items: int) -> Batch:
        message = (
            f"{filled.error_count} of {items} prices are not valid; nothing was changed. "
            "Mend them and send the batch with a new idempotency key."
        )
        failed = await self._publisher.fail(
            batch,
            Refusal("BATCH_INVALID", message),
            errors=filled.errors,
            error_count=filled.error_count,
            received=items,
        )
        await self._layers.drop(batch.layer)
        return failed

    @asynccontextmanager
    async def _holding(self, batch: Batch, filled: Filled, items: int) -> AsyncIterator[None]:
        """Keep the lease and note the progress while the work goes on; let it go when the work is broken off."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(leases.RENEW_SECONDS)
                with suppress(PyMongoError):  # the lease outlasts a missed renewal; the fence stops a lost one
                    await self._batches.renew(batch, items, filled.stored.count)

        renewing = asyncio.create_task(renew())
        try:
            yield
        except BaseException:
            with suppress(PyMongoError):
                await self._batches.release(batch)
            raise
        finally:
            renewing.cancel()


async def _slices(items: list[msgspec.Raw]) -> AsyncIterator[Slice]:
    for rows in decode_slices(items):
        yield rows


def _check(order: BatchOrder) -> None:
    if not 1 <= len(order.key) <= MAX_KEY or not order.key.isprintable():
        raise InvalidArgument(
            f"An idempotency key has 1 to {MAX_KEY} printable characters.", path=("input", "idempotencyKey")
        )
    if order.label is not None and not 1 <= len(order.label) <= MAX_KEY:
        raise InvalidArgument(f"A label has 1 to {MAX_KEY} characters.", path=("input", "label"))


def _fingerprint(order: BatchOrder, rows: bytes | memoryview) -> str:
    head = msgspec.json.encode((order.price_list, order.mode, order.publish, order.expected_version, order.label))
    return blake2b(head + b"\n" + rows, digest_size=16).hexdigest()
