"""The end of a batch's life, from SEALING on: freeze, seal, judge, publish. Any process can go through it again."""

from collections.abc import Sequence

from storage.batches.comparison import Comparison
from storage.batches.parts import PartRepository
from storage.batches.publish import BaseMoved, Publisher
from storage.batches.repository import Batch, BatchRepository, Refusal
from storage.batches.seal import Seal, seal
from storage.batches.states import BatchState
from storage.catalog.gates import judge
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.rollback import PointerMoves
from storage.catalog.snapshots import Snapshot, SnapshotRepository
from storage.errors import BatchNotHeld, Conflict, Corrupt, LatestHeld
from storage.layers.reader import LayerReader
from storage.layers.writer import Layers
from storage.prices.row_decoder import ItemError

# States that leave a layer which no manifest names.
DISCARDED_STATES = frozenset({BatchState.FAILED, BatchState.ABORTED, BatchState.REJECTED})


class Finisher:
    """Finishes batches that have all their rows."""

    def __init__(
        self,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        parts: PartRepository,
        layers: Layers,
        stack: LayerReader,
        publisher: Publisher,
        operations: PointerMoves,
    ) -> None:
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._batches = batches
        self._parts = parts
        self._layers = layers
        self._layer_reader = stack
        self._publisher = publisher
        self._pointer_moves = operations

    async def finish(self, batch: Batch) -> Batch:
        """Seal a batch in SEALING, and publish, hold or reject it.

        When another version becomes current meanwhile the batch is compared with that one; its rows stay as they
        are. Raises `LeaseLost`, and `Corrupt` when what was stored is not what was received.
        """
        await self._layers.freeze(batch.layer)
        while True:
            price_list = await self._price_lists.get(batch.price_list)
            sealed = await self._seal(batch, price_list)
            await self._prove(batch, sealed)
            try:
                finished = await self._publisher.publish(batch, sealed, judge(price_list.gates, sealed.facts))
            except BaseMoved:
                continue
            return await self._cleared(finished)

    async def approve(self, batch_id: str, *, by: str, reason: str) -> Batch:
        """Publish a batch that was held, laid over what is current now.

        Raises `BatchNotHeld`, `Pinned`, `Conflict`.
        """
        batch = await self._held(batch_id)
        while True:
            sealed = await self._seal(batch, await self._price_lists.get(batch.price_list))
            try:
                return await self._publisher.approve(batch, sealed, by=by, reason=reason)
            except BaseMoved:
                continue

    async def reject(self, batch_id: str, *, by: str, reason: str) -> Batch:
        """Put an end to a batch that was held. Its layer is collected later. Raises `BatchNotHeld`."""
        return await self._publisher.reject(await self._held(batch_id), by=by, reason=reason)

    async def publish_latest(self, name: str, *, by: str, reason: str) -> PriceList:
        """Unpin a list and publish the newest batch that waited for it; the others become REJECTED as superseded.

        Batches that a gate or their own `publish: ON_APPROVAL` holds as well go on waiting for their review. Raises
        `NotPinned`, and `LatestHeld`, with nothing changed, when the list's gates have something against the batch or
        it expected another version to be current.
        """
        while True:
            price_list = await self._price_lists.get(name)
            waiting = await self._batches.waiting(name) if price_list.pin else []
            if not waiting:
                return await self._pointer_moves.unpin(name, by=by, reason=reason)
            *others, latest = waiting
            sealed = await self._seal(latest, price_list)
            _check_publishable(latest, price_list, sealed)
            try:
                return await self._publisher.publish_latest(price_list, latest, others, sealed, by=by, reason=reason)
            except BaseMoved:
                continue

    async def refuse_items(
        self, batch: Batch, errors: Sequence[ItemError], error_count: int, received: int, **changes: object
    ) -> Batch:
        """Note that a batch has bad items: the first of them, and the count of all; and further fields of the batch."""
        message = (
            f"{error_count} of {received} items are not valid; nothing was changed. "
            "Mend them and send the batch with a new idempotency key."
        )
        refusal = Refusal("BATCH_INVALID", message)
        return await self.fail(batch, refusal, errors=errors, error_count=error_count, received=received, **changes)

    async def fail(self, batch: Batch, refusal: Refusal, **changes: object) -> Batch:
        """Note that a batch cannot be published, and drop its layer. `changes` are further fields of the batch."""
        failed = await self._publisher.abandon(batch, BatchState.FAILED, refusal, by=batch.submitted_by, **changes)
        return await self._cleared(failed)

    async def abort(self, batch: Batch, refusal: Refusal, *, by: str) -> Batch:
        """Put an end to an open batch whose lease is held, and drop what it stored. Returns the batch as it is then."""
        await self._layers.shut(batch.layer)
        return await self._cleared(await self._publisher.abandon(batch, BatchState.ABORTED, refusal, by=by))

    async def _cleared(self, batch: Batch) -> Batch:
        """Drop what a batch stored that came to nothing, by whoever brought it to its end."""
        if batch.state in DISCARDED_STATES:
            await self._layers.drop(batch.layer)
            if batch.chunked:
                await self._parts.drop(batch.id)
        return batch

    async def _held(self, batch_id: str) -> Batch:
        batch = await self._batches.get(batch_id)
        if batch.state is not BatchState.HELD:
            raise BatchNotHeld(batch.id, batch.state)
        return batch

    async def comparison(self, name: str) -> Comparison:
        """Return a comparison of rows that are coming with the version that is current now."""
        return Comparison(self._layer_reader, await self._base(await self._price_lists.get(name)))

    async def _seal(self, batch: Batch, price_list: PriceList) -> Seal:
        return await seal(self._layer_reader, batch, await self._base(price_list))

    async def _base(self, price_list: PriceList) -> Snapshot | None:
        version = price_list.current_version
        return None if version is None else await self._snapshots.get(price_list.name, version)

    async def _prove(self, batch: Batch, sealed: Seal) -> None:
        stored = sealed.stored
        if (stored.count, stored.hex) != (batch.rows, batch.checksum):
            message = f"{batch.rows} rows were received, but {stored.count} others were read back."
            await self.fail(batch, Refusal(Corrupt.code, message))
            raise Corrupt(f"Batch {batch.id}: {message} Nothing was published; send it again with a new key.")


def _check_publishable(batch: Batch, price_list: PriceList, sealed: Seal) -> None:
    """Raise `LatestHeld` where a batch would not be published if it came now."""
    against = [finding.message for finding in judge(price_list.gates, sealed.facts)]
    try:
        price_list.expect(batch.expected_version)
    except Conflict as conflict:
        against.append(conflict.message)
    if against:
        raise LatestHeld(batch.id, " ".join(against))
