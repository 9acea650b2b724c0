"""The lifecycle of a batch once all its rows are stored: seal, compare, check the gates, publish. Read `finish` first.

Each state change is one transaction of the pointer, its event, the manifest and the batch, at `w: majority, j: true`:
readers see all of it or nothing, and any process can repeat a step that another did not complete.

The transaction reads the pointer and decides. Before it, the sealed layer is compared with the version that is current
by then. If another one has become current when the transaction starts, it raises `BaseMoved` with that version, the
batch is compared again, and the transaction is tried again; the layer of the batch stays as it is.
"""

from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from storage.batches.assessment import BaseMoved, Comparison, assess, check_publishable, facts_of
from storage.batches.metrics import StorageMetrics
from storage.batches.parts import PartRepository
from storage.batches.repository import Batch, BatchMode, BatchRepository, PublishPolicy, Refusal
from storage.batches.sealing import BatchSealer, RepeatedSkus
from storage.batches.staging import StagingRepository
from storage.batches.states import DISCARDED_STATES, IN_PROGRESS, BatchState
from storage.batches.throttle import MergeThrottle
from storage.batches.transitions import BatchTransitions, Transition
from storage.catalog.events import EventKind
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.rollback import PointerMoves
from storage.catalog.snapshots import Snapshot, SnapshotRepository
from storage.catalog.transactions import check_reason
from storage.errors import BatchNotHeld, Corrupt, LayerGone, Pinned
from storage.fair_yield import yield_to_loop
from storage.layers.diff import VersionDiffer
from storage.layers.directory import Directory
from storage.layers.reader import LayerReader
from storage.layers.writer import LayerWriter
from storage.mongodb.connection import Client
from storage.mongodb.transaction import in_transaction
from storage.prices.row_decoder import ItemError


class BatchLifecycle:
    """Seals, publishes, reviews and ends batches."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        parts: PartRepository,
        staging: StagingRepository,
        sealer: BatchSealer,
        layer_writer: LayerWriter,
        layer_reader: LayerReader,
        differ: VersionDiffer,
        pointer_moves: PointerMoves,
        transitions: BatchTransitions,
        throttle: MergeThrottle,
        metrics: StorageMetrics,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._batches = batches
        self._parts = parts
        self._staging = staging
        self._sealer = sealer
        self._layer_writer = layer_writer
        self._layer_reader = layer_reader
        self._differ = differ
        self._pointer_moves = pointer_moves
        self._transitions = transitions
        self._throttle = throttle
        self._metrics = metrics

    # -- SEALING to PUBLISHED, HELD or REJECTED; a dry run to ABORTED;
    # a damaged layer, or a sku that was sent twice, to FAILED

    async def finish(self, batch: Batch) -> Batch:
        """Seal a batch in SEALING, and publish, hold or reject it.

        Raises `LeaseLost` if another process took the batch over, and `Corrupt` if the layer does not hold the rows
        that were received.
        """
        try:
            return await self._publish_sealed(replace(batch, layer=await self._sealer.seal(batch)))
        except RepeatedSkus as repeated:
            return await self.fail_items(batch, repeated.errors, repeated.count, batch.received)
        except (Corrupt, LayerGone) as corrupt:
            await self.fail(batch, Refusal(Corrupt.code, corrupt.message))
            raise Corrupt(f"Batch {batch.id}: {corrupt.message} Nothing was published; send it again.") from corrupt

    async def _publish_sealed(self, batch: Batch) -> Batch:
        """Publish, hold or reject a sealed batch, once it is compared with the version that is current by then."""
        base = await self._current_snapshot(await self._price_lists.get(batch.price_list))
        batch = await self._throttle.wait(batch, base)
        while True:
            comparison = await self._compare(batch, base)
            try:
                return await self._discard(await self._publish(batch, comparison))
            except BaseMoved as moved:
                base = moved.base

    async def _compare(self, batch: Batch, base: Snapshot | None) -> Comparison:
        """Compare a sealed batch with the version `base`."""
        if batch.layer is None:
            raise AssertionError(f"Batch {batch.id} is not sealed.")
        below = base.layers if base else ()
        after = (batch.layer, *(below if batch.mode is BatchMode.MERGE else ()))
        changes = await self._differ.count(below, after)
        layer = await self._layer_reader.layer(batch.layer)
        return Comparison(base.version if base else None, changes, await _currencies(layer.directory))

    async def _publish(self, batch: Batch, comparison: Comparison) -> Batch:
        """Give a sealed batch a version and make it current, or hold or reject it. Raises `BaseMoved`, `LeaseLost`."""

        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(batch.price_list, session)
            base = await self._current_snapshot(price_list, session)
            assessed = assess(batch, comparison, price_list, base)
            fields, by = {**assessed.batch_fields, "layer": batch.layer}, batch.submitted_by
            if batch.publish is PublishPolicy.DRY_RUN:
                return await self._transitions.end_dry_run(batch, price_list, session, **fields)
            if assessed.refusal:
                return await self._transitions.end(
                    batch, price_list, BatchState.REJECTED, assessed.refusal, session, by=by, **fields
                )
            snapshot = await self._transitions.add_snapshot(batch, price_list, base, assessed.facts.size, session)
            if assessed.is_held:
                return await self._transitions.hold(batch, price_list, snapshot, session, **fields)
            kind = EventKind.PUBLISHED
            return await self._transitions.publish(batch, price_list, snapshot, session, kind=kind, by=by, **fields)

        return await self._commit(batch, act)

    # -- HELD to PUBLISHED or REJECTED

    async def approve(self, batch_id: str, *, by: str, reason: str) -> Batch:
        """Publish a held batch, rebased onto the current version, whatever its gates found.

        Raises `InvalidArgument`, `BatchNotFound`, `BatchNotHeld`, `Pinned` while the list is pinned, `Conflict` if the
        batch expects another version to be current, and `Corrupt`.
        """
        check_reason(reason)
        batch = await self._held(batch_id)
        comparison: Comparison | None = None
        while True:
            try:
                return await self._approve(batch, comparison, by, reason)
            except BaseMoved as moved:
                comparison = await self._compare(batch, moved.base)

    async def _approve(self, batch: Batch, comparison: Comparison | None, by: str, reason: str) -> Batch:
        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(batch.price_list, session)
            if price_list.pin:
                raise Pinned(price_list.name, price_list.pin.version)
            price_list.expect(batch.expected_version)
            base = await self._current_snapshot(price_list, session)
            return await self._transitions.publish_held(
                batch,
                price_list,
                base,
                facts_of(batch, comparison, base),
                session,
                kind=EventKind.APPROVED,
                by=by,
                reason=reason,
            )

        return await self._commit(batch, act)

    async def reject(self, batch_id: str, *, by: str, reason: str) -> Batch:
        """Reject a held batch. Its version can no longer be read.

        Raises `InvalidArgument`, `BatchNotFound`, `BatchNotHeld`.
        """
        check_reason(reason)
        batch = await self._held(batch_id)

        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(batch.price_list, session)
            refusal = Refusal("REJECTED", reason)
            return await self._transitions.reject_held(batch, price_list, refusal, session, by=by)

        return await self._commit(batch, act)

    async def publish_latest(self, name: str, *, by: str, reason: str) -> PriceList:
        """Unpin a list, publish the newest batch that only the pin held, and reject the others as superseded.

        It is one transaction. Batches that also wait for an approval stay HELD. Raises `InvalidArgument`,
        `PriceListNotFound`, `NotPinned`, `Corrupt`, and `LatestHeld` if a gate or the expected version is against the
        newest batch.
        """
        check_reason(reason)
        compared: tuple[str, Comparison] | None = None
        while True:
            try:
                return await self._publish_latest(name, compared, by, reason)
            except BaseMoved as moved:
                compared = moved.batch.id, await self._compare(moved.batch, moved.base)

    async def _publish_latest(
        self, name: str, compared: tuple[str, Comparison] | None, by: str, reason: str
    ) -> PriceList:
        async def act(session: AsyncClientSession) -> tuple[PriceList, list[tuple[Batch, Batch]]]:
            price_list = await self._price_lists.get(name, session)
            waiting = await self._batches.waiting(name, session) if price_list.pin else []
            if not waiting:
                return await self._pointer_moves.clear_pin(price_list, by, reason, session), []
            *others, latest = waiting
            comparison = compared[1] if compared and compared[0] == latest.id else None
            base = await self._current_snapshot(price_list, session)
            facts = facts_of(latest, comparison, base)
            check_publishable(latest, price_list, facts)
            price_list = await self._pointer_moves.clear_pin(price_list, by, reason, session)
            superseded = Refusal("SUPERSEDED", f"Batch {latest.id} was published instead when the list was unpinned.")
            ended = []
            for other in others:
                price_list, rejected = await self._transitions.reject_held(
                    other, price_list, superseded, session, by=by
                )
                ended.append((other, rejected))
            price_list, published = await self._transitions.publish_held(
                latest, price_list, base, facts, session, kind=EventKind.PUBLISHED, by=by, reason=reason
            )
            return price_list, [*ended, (latest, published)]

        price_list, ended = await in_transaction(self._client, act)
        for before, after in ended:
            self._metrics.count_batch(before, after)
        return price_list

    async def _held(self, batch_id: str) -> Batch:
        batch = await self._batches.get(batch_id)
        if batch.state is not BatchState.HELD:
            raise BatchNotHeld(batch.id, batch.state)
        return batch

    # -- OPEN or SEALING to FAILED or ABORTED

    async def fail(self, batch: Batch, refusal: Refusal, **batch_fields: object) -> Batch:
        """Fail a batch that cannot be published, and drop its layer, parts and staged rows.

        `batch_fields` are stored with it.
        """
        return await self._discard(
            await self._end(batch, BatchState.FAILED, refusal, batch.submitted_by, **batch_fields)
        )

    async def fail_items(
        self, batch: Batch, errors: Sequence[ItemError], error_count: int, received: int, **batch_fields: object
    ) -> Batch:
        """Fail a batch with invalid items: the first `errors`, and the count of all."""
        message = (
            f"{error_count} of {received} items are not valid; nothing was changed. "
            "Correct them and send the batch with a new idempotency key."
        )
        refusal = Refusal("BATCH_INVALID", message)
        return await self.fail(
            batch, refusal, errors=errors, error_count=error_count, received=received, **batch_fields
        )

    async def abort(self, batch: Batch, refusal: Refusal, *, by: str) -> Batch:
        """Abort an open batch whose lease this process holds, and drop its rows. Returns the batch as it is then."""
        return await self._discard(await self._end(batch, BatchState.ABORTED, refusal, by))

    async def _end(self, batch: Batch, state: BatchState, refusal: Refusal, by: str, **batch_fields: object) -> Batch:
        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(batch.price_list, session)
            return await self._transitions.end(batch, price_list, state, refusal, session, by=by, **batch_fields)

        return await self._commit(batch, act)

    # -- Every transition

    async def _current_snapshot(
        self, price_list: PriceList, session: AsyncClientSession | None = None
    ) -> Snapshot | None:
        """Return the manifest of the current version; None if the list has no version yet."""
        version = price_list.current_version
        if version is None:
            return None
        snapshot = await self._snapshots.get(price_list.name, version, session)
        if snapshot is None:
            raise Corrupt(f"The manifest of version {version} of {price_list.name!r} is gone. Run `pricebook check`.")
        return snapshot

    async def _commit(self, batch: Batch, act: Callable[[AsyncClientSession], Awaitable[Transition]]) -> Batch:
        """Run the transaction of a state change, and count it."""
        try:
            _, outcome = await in_transaction(self._client, act)
        except PyMongoError:
            # The outcome of a commit may be unknown. The batch was written in the same transaction: its state shows it.
            outcome = await self._batches.get(batch.id)
            if outcome.state == batch.state:
                raise
        if outcome.token == batch.token:  # otherwise another process took the batch over, and counts it
            self._metrics.count_batch(batch, outcome)
        return outcome

    async def _discard(self, batch: Batch) -> Batch:
        """Drop what a batch no longer needs: its staged rows, and if it ended without a version its layer and parts."""
        if batch.state in DISCARDED_STATES:
            if batch.layer:
                await self._layer_writer.drop(batch.layer.id)
            if batch.chunked:
                await self._parts.drop(batch.id)
        if (batch.runs or batch.chunked) and batch.state not in IN_PROGRESS:
            await self._staging.drop(batch.id)  # last: garbage collection finds what is left by its staged runs
        return batch


async def _currencies(directory: Directory) -> frozenset[str]:
    """Return the currencies of a layer's prices."""
    currencies: set[str] = set()
    for page in range(directory.pages):
        currencies.update(currency for stats in directory.stats(page) for currency in stats.currencies)
        await yield_to_loop()
    return frozenset(currencies)
