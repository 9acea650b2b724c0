"""The end of a batch's life, from SEALING on: freeze, seal, judge, publish. Any process can go through it again."""

from collections.abc import Sequence

from storage.batches import Batch, Batches, Refusal
from storage.comparison import Comparison
from storage.decode import ItemError
from storage.errors import BatchNotHeld, Corrupt
from storage.gates import judge
from storage.layers import Layers
from storage.pointers import Pointers, PriceList
from storage.publish import BaseMoved, Publisher
from storage.seal import Seal, seal
from storage.snapshots import Snapshot, Snapshots
from storage.stack import Stack
from storage.states import BatchState

# States that leave a layer which no manifest names.
BARREN = frozenset({BatchState.FAILED, BatchState.ABORTED, BatchState.REJECTED})


class Finisher:
    """Finishes batches that have all their rows."""

    def __init__(
        self,
        pointers: Pointers,
        snapshots: Snapshots,
        batches: Batches,
        layers: Layers,
        stack: Stack,
        publisher: Publisher,
    ) -> None:
        self._pointers = pointers
        self._snapshots = snapshots
        self._batches = batches
        self._layers = layers
        self._stack = stack
        self._publisher = publisher

    async def finish(self, batch: Batch) -> Batch:
        """Seal a batch in SEALING, and publish, hold or reject it.

        When another version becomes current meanwhile the batch is compared with that one; its rows stay as they
        are. Raises `LeaseLost`, and `Corrupt` when what was stored is not what was received.
        """
        await self._layers.freeze(batch.layer)
        while True:
            price_list = await self._pointers.get(batch.price_list)
            sealed = await self._seal(batch, price_list)
            await self._prove(batch, sealed)
            try:
                finished = await self._publisher.publish(batch, sealed, judge(price_list.gates, sealed.facts))
            except BaseMoved:
                continue
            if finished.state in BARREN:
                await self._layers.drop(batch.layer)
            return finished

    async def approve(self, batch_id: str, *, by: str, reason: str) -> Batch:
        """Publish a batch that was held, laid over what is current now. Raises `BatchNotHeld`, `Pinned`."""
        batch = await self._held(batch_id)
        while True:
            sealed = await self._seal(batch, await self._pointers.get(batch.price_list))
            try:
                return await self._publisher.approve(batch, sealed, by=by, reason=reason)
            except BaseMoved:
                continue

    async def reject(self, batch_id: str, *, by: str, reason: str) -> Batch:
        """Put an end to a batch that was held. Its layer is collected later. Raises `BatchNotHeld`."""
        return await self._publisher.reject(await self._held(batch_id), by=by, reason=reason)

    async def refuse_items(self, batch: Batch, errors: Sequence[ItemError], error_count: int, received: int) -> Batch:
        """Note that a batch has bad items: the first of them, and the count of all."""
        message = (
            f"{error_count} of {received} items are not valid; nothing was changed. "
            "Mend them and send the batch with a new idempotency key."
        )
        refusal = Refusal("BATCH_INVALID", message)
        return await self.fail(batch, refusal, errors=errors, error_count=error_count, received=received)

    async def fail(self, batch: Batch, refusal: Refusal, **changes: object) -> Batch:
        """Note that a batch cannot be published, and drop its layer. `changes` are further fields of the batch."""
        failed = await self._publisher.abandon(batch, BatchState.FAILED, refusal, by=batch.submitted_by, **changes)
        await self._layers.drop(batch.layer)
        return failed

    async def _held(self, batch_id: str) -> Batch:
        batch = await self._batches.get(batch_id)
        if batch.state is not BatchState.HELD:
            raise BatchNotHeld(batch.id, batch.state)
        return batch

    async def comparison(self, name: str) -> Comparison:
        """Return a comparison of rows that are coming with the version that is current now."""
        return Comparison(self._stack, await self._base(await self._pointers.get(name)))

    async def _seal(self, batch: Batch, price_list: PriceList) -> Seal:
        return await seal(self._stack, batch, await self._base(price_list))

    async def _base(self, price_list: PriceList) -> Snapshot | None:
        version = price_list.current_version
        return None if version is None else await self._snapshots.get(price_list.name, version)

    async def _prove(self, batch: Batch, sealed: Seal) -> None:
        stored = sealed.stored
        if (stored.count, stored.hex) != (batch.rows, batch.checksum):
            message = f"{batch.rows} rows were received, but {stored.count} others were read back."
            await self.fail(batch, Refusal(Corrupt.code, message))
            raise Corrupt(f"Batch {batch.id}: {message} Nothing was published; send it again with a new key.")
