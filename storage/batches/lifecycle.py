"""The lifecycle of a batch once all its rows are stored: seal, compare, check the gates, publish. Read `finish` first.

Each state change is one transaction of the pointer, its event, the manifest and the batch, at `w: majority, j: true`:
readers see all of it or nothing, and any process can repeat a step that another did not complete.

The transaction reads the pointer and decides. Before it, the sealed layer is compared with the version that is current
by then. If another one has become current when the transaction starts, it raises `BaseMoved`, and the batch is rebased
(`storage.batches.rebasing`).
"""

from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from storage.batches.assessment import assess, check_not_superseded, facts_of
from storage.batches.batch import Batch, PublishPolicy, Refusal
from storage.batches.comparison import BatchComparer, Comparison
from storage.batches.in_release import ReleaseMembership, release_finding
from storage.batches.item_errors import ItemErrorRepository
from storage.batches.metrics import StorageMetrics
from storage.batches.parts import PartRepository
from storage.batches.rebasing import Rebaser
from storage.batches.removal import BatchRemoval
from storage.batches.repository import BatchRepository
from storage.batches.sealing import BatchSealer, RepeatedSkus
from storage.batches.staging import StagingRepository
from storage.batches.states import DISCARDED_STATES, IN_PROGRESS, BatchState
from storage.batches.throttle import MergeThrottle
from storage.batches.transitions import BatchTransitions, Transition
from storage.batches.unpinning import ANY_LATEST, ExpectedLatest, Unpinned, Unpinning
from storage.catalog.events import EventKind
from storage.catalog.orphans import OrphanRepository
from storage.catalog.price_lists import PriceList, PriceListRepository
from storage.catalog.releases import Release
from storage.catalog.snapshots import SnapshotRepository, current_snapshot
from storage.catalog.transactions import check_reason
from storage.errors import BatchNotHeld, Corrupt, LayerGone, Pinned, PriceListNotFound
from storage.layers.writer import LayerWriter
from storage.mongodb.connection import Client
from storage.mongodb.transaction import commit, found_out, in_transaction
from storage.prices.item_error import ItemError


class BatchLifecycle:
    """Seals, publishes, reviews and ends batches."""

    def __init__(
        self,
        client: Client,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        batches: BatchRepository,
        parts: PartRepository,
        item_errors: ItemErrorRepository,
        staging: StagingRepository,
        sealer: BatchSealer,
        layer_writer: LayerWriter,
        comparer: BatchComparer,
        rebaser: Rebaser,
        transitions: BatchTransitions,
        throttle: MergeThrottle,
        unpinning: Unpinning,
        membership: ReleaseMembership,
        removal: BatchRemoval,
        orphans: OrphanRepository,
        metrics: StorageMetrics,
    ) -> None:
        self._client = client
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._batches = batches
        self._parts = parts
        self._item_errors = item_errors
        self._staging = staging
        self._sealer = sealer
        self._layer_writer = layer_writer
        self._comparer = comparer
        self._rebaser = rebaser
        self._transitions = transitions
        self._throttle = throttle
        self._unpinning = unpinning
        self._membership = membership
        self._removal = removal
        self._orphans = orphans
        self._metrics = metrics

    async def take_over(self, batch_id: str) -> Batch | None:
        """Take over a batch in progress whose lease has expired; return None if it is leased or finished.

        The attempt that broke off may have left a layer, which is noted as an orphan unless it is that of the batch.
        """
        batch = await self._batches.take_over(batch_id)
        if batch is None:
            return None
        earlier = f"{batch.id}-{batch.token - 1}"
        if batch.layer is None or batch.layer.id != earlier:
            await self._orphans.note([earlier])
        return batch

    # -- SEALING to PUBLISHED, HELD or REJECTED; a dry run to ABORTED;
    # a damaged layer, or a sku that was sent twice, to FAILED

    async def finish(self, batch: Batch, line_of: Callable[[int], int | None] = lambda index: None) -> Batch:
        """Seal a batch in SEALING, and publish, hold or reject it. `line_of` returns the line of a row in its file.

        Raises `LeaseLost` if another process took the batch over, `PriceListNotFound` if the list was deleted, and
        `Corrupt` if the layer does not hold the rows that were received.
        """
        try:
            return await self._publish_sealed(replace(batch, layer=await self._sealer.seal(batch)))
        except RepeatedSkus as repeated:
            errors = await repeated.errors_with_lines(line_of)
            return await self.fail_items(batch, errors, repeated.count, batch.received)
        except (Corrupt, LayerGone) as corrupt:
            await self.fail(batch, Refusal(Corrupt.code, corrupt.message))
            raise Corrupt(f"Batch {batch.id}: {corrupt.message} Nothing was published; send it again.") from corrupt
        except PriceListNotFound:
            await self._removal.remove([batch])
            raise

    async def _publish_sealed(self, batch: Batch) -> Batch:
        """Publish, hold or reject a sealed batch, once it is compared with the version that is current by then."""
        current = await current_snapshot(self._price_lists, self._snapshots, batch.price_list)
        batch, base = await self._throttle.wait(batch, current)
        comparison = await self._comparer.compare(batch, base)
        return await self._discard(
            await self._rebaser.run(batch.price_list, lambda known: self._publish(batch, known), batch, comparison)
        )

    async def _publish(self, batch: Batch, comparison: Comparison | None) -> Batch:
        """Give a sealed batch a version and make it current, or hold or reject it. Raises `BaseMoved`, `LeaseLost`."""
        superseded: tuple[Batch, Batch] | None = None

        async def act(session: AsyncClientSession) -> Transition | Batch:
            nonlocal superseded
            superseded = None
            price_list = await self._price_lists.get(batch.price_list, session)
            base = await self._snapshots.current(price_list.name, price_list.current_version, session)
            release = await self._membership.find(batch, session)
            waits_for = [release_finding(release)] if isinstance(release, Release) else []
            assessed = assess(batch, comparison, price_list, base, waits_for)
            fields, by = {**assessed.batch_fields, "layer": batch.layer}, batch.submitted_by
            if batch.publish is PublishPolicy.DRY_RUN:
                return await self._transitions.end_dry_run(batch, session, **fields)
            refusal = assessed.refusal or (release if isinstance(release, Refusal) else None)
            if refusal:
                return await self._transitions.end(
                    batch, price_list, BatchState.REJECTED, refusal, session, by=by, **fields
                )
            if isinstance(release, Release):
                price_list, superseded = await self._membership.join(release, batch, price_list, session)
                fields |= {"publish_at": release.publish_at, "facts": assessed.facts}
            snapshot = await self._transitions.add_snapshot(batch, price_list, base, assessed.facts.size, session)
            if assessed.is_held:
                by_pin = assessed.is_held_by_pin
                return await self._transitions.hold(batch, price_list, snapshot, session, held_by_pin=by_pin, **fields)
            kind = EventKind.PUBLISHED
            return await self._transitions.publish(batch, price_list, snapshot, session, kind=kind, by=by, **fields)

        async with self._membership.queue(batch):
            outcome = await self._commit(batch, act)
        if superseded:
            self._metrics.count_batch(*superseded)
        return outcome

    # -- HELD to PUBLISHED or REJECTED

    async def approve(self, batch_id: str, *, by: str, reason: str, expected_version: int | None = None) -> Batch:
        """Publish a held batch, rebased onto the current version, whatever its gates found.

        A batch in a release is approved, and published with that.
        Raises `InvalidArgument`, `BatchNotFound`, `BatchNotHeld`, `Pinned` while the list is pinned, `Conflict` if
        another version is current than `expected_version`, or if that is None, than the batch expects, and `Corrupt`.
        """
        check_reason(reason)
        batch = await self._held(batch_id)
        if batch.release:
            return await self._membership.approve(batch, by=by, reason=reason, expected_version=expected_version)
        return await self._rebaser.run(
            batch.price_list, lambda known: self._approve(batch, known, expected_version, by, reason)
        )

    async def _approve(
        self, batch: Batch, comparison: Comparison | None, expected_version: int | None, by: str, reason: str
    ) -> Batch:
        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(batch.price_list, session)
            held = await self._batches.get_held(batch.id, session)
            check_not_superseded(held, price_list)
            if price_list.pin:
                raise Pinned(price_list.name, price_list.pin.version)
            # A reviewer who names the version has seen what became current after the sender's.
            price_list.expect(held.expected_version if expected_version is None else expected_version)
            base = await self._snapshots.current(price_list.name, price_list.current_version, session)
            return await self._transitions.publish_held(
                held,
                price_list,
                base,
                facts_of(held, comparison, base),
                session,
                kind=EventKind.APPROVED,
                by=by,
                reason=reason,
            )

        return await self._commit(batch, act)

    async def reject(self, batch_id: str, *, by: str, reason: str, expected_version: int | None = None) -> Batch:
        """Reject a held batch, and take it out of its release. Its version can no longer be read.

        Raises `InvalidArgument`, `BatchNotFound`, `BatchNotHeld`, `Conflict`.
        """
        check_reason(reason)
        batch = await self._held(batch_id)

        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(batch.price_list, session)
            held = await self._batches.get_held(batch.id, session)
            check_not_superseded(held, price_list)
            price_list.expect(expected_version)
            refusal = Refusal("REJECTED", reason)
            await self._membership.leave(held, session)
            return await self._transitions.reject_held(held, price_list, refusal, session, by=by)

        return await self._commit(batch, act)

    async def publish_latest(
        self, name: str, *, by: str, reason: str, expected: ExpectedLatest = ANY_LATEST
    ) -> PriceList:
        """Unpin a list and publish the newest batch that only the pin held, in one transaction.

        The other batches that only the pin held are superseded: `end_superseded` rejects them. Batches that also wait
        for an approval stay HELD. Raises `InvalidArgument`, `PriceListNotFound`, `NotPinned`, `Conflict` or
        `BatchConflict` if the list is not as `expected`, `Corrupt`, and `LatestHeld` if a gate or the expected version
        is against the newest batch.
        """
        check_reason(reason)
        return await self._rebaser.run(name, lambda known: self._publish_latest(name, known, expected, by, reason))

    async def _publish_latest(
        self, name: str, comparison: Comparison | None, expected: ExpectedLatest, by: str, reason: str
    ) -> PriceList:
        async def act(session: AsyncClientSession) -> Unpinned:
            return await self._unpinning.publish_latest(name, comparison, expected, by, reason, session)

        outcome = await commit(self._client, act, self._unpinning.is_stored)
        if outcome.held and outcome.published:
            self._metrics.count_batch(outcome.held, outcome.published)
        return outcome.price_list

    async def end_superseded(self, name: str) -> None:
        """Reject the superseded batches of a list, in transactions of a few batches each.

        Idempotent, and safe in several processes. Raises `PriceListNotFound`.
        """
        are_left = (await self._price_lists.get(name)).superseded_before is not None
        while are_left:
            are_left = await self._end_some_superseded(name)

    async def _end_some_superseded(self, name: str) -> bool:
        """Reject some of the superseded batches, in one transaction. Returns whether some are left."""

        async def act(session: AsyncClientSession) -> tuple[list[tuple[Batch, Batch]], bool]:
            return await self._unpinning.end_superseded(name, "pricebook", session)

        ended, are_left = await in_transaction(self._client, act)
        for held, rejected in ended:
            self._metrics.count_batch(held, rejected)
        return are_left

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
        """Fail a batch with invalid items: their first `errors`, which are stored, and the count of all."""
        message = (
            f"{error_count} of {received} items are not valid; nothing was changed. "
            "Correct them and send the batch with a new idempotency key."
        )
        refusal = Refusal("BATCH_INVALID", message)
        report = await self._item_errors.write(batch.id, errors)
        return await self.fail(
            batch, refusal, error_report=report, error_count=error_count, received=received, **batch_fields
        )

    async def abort(self, batch: Batch, refusal: Refusal, *, by: str) -> Batch:
        """Abort an open batch whose lease this process holds, and drop its rows. Returns the batch as it is then."""
        return await self._discard(await self._end(batch, BatchState.ABORTED, refusal, by))

    async def _end(self, batch: Batch, state: BatchState, refusal: Refusal, by: str, **batch_fields: object) -> Batch:
        """End a batch; if its list was deleted, remove it. Raises `PriceListNotFound` then."""

        async def act(session: AsyncClientSession) -> Transition:
            price_list = await self._price_lists.get(batch.price_list, session)
            return await self._transitions.end(batch, price_list, state, refusal, session, by=by, **batch_fields)

        try:
            return await self._commit(batch, act)
        except PriceListNotFound:
            await self._removal.remove([batch])
            raise

    # -- Every transition

    async def _commit(self, batch: Batch, act: Callable[[AsyncClientSession], Awaitable[Transition | Batch]]) -> Batch:
        """Run the transaction of a state change, and count it."""
        meant: BatchState | None = None

        async def noting(session: AsyncClientSession) -> Batch:
            nonlocal meant
            done = await act(session)
            changed = done.batch if isinstance(done, Transition) else done
            meant = changed.state
            return changed

        try:
            outcome = await in_transaction(self._client, noting)
        except PyMongoError as error:
            # The outcome of a commit may be unknown. The batch was written in the same transaction: its state shows it.
            outcome = await found_out(error, self._batches.get(batch.id))
            if outcome.state != meant:
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
            if batch.chunked or batch.error_report:
                await self._item_errors.keep_only(batch.id, batch.error_report)
        if (batch.runs or batch.chunked) and batch.state not in IN_PROGRESS:
            await self._staging.drop(batch.id)  # last: garbage collection finds what is left by its staged runs
        return batch
