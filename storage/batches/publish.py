"""Publishing. Each act is one transaction: the pointer, its event, the manifest and the batch's state.

Whoever reads a pointer as a majority has it therefore sees all of an act or nothing of it, and what was acknowledged
survives the loss of any minority of the members (`w: majority, j: true`).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError, PyMongoError

from storage.batches.metrics import StorageMetrics
from storage.batches.repository import PIN, Batch, BatchMode, BatchRepository, PublishPolicy, Refusal
from storage.batches.seal import Seal
from storage.batches.states import BatchState
from storage.catalog.events import Event, EventKind, EventRepository
from storage.catalog.gates import GateFinding, Gates, Severity, check_gates
from storage.catalog.price_lists import PriceList, PriceListRepository, check_name
from storage.catalog.retention import DEFAULT_RETENTION, Retention, check_retention
from storage.catalog.rollback import PointerMoves
from storage.catalog.snapshots import Layer, Snapshot, SnapshotRepository, SnapshotState
from storage.catalog.transactions import check_reason, event_of
from storage.errors import (
    BatchNotHeld,
    Conflict,
    Corrupt,
    Pinned,
    PriceListExists,
    SnapshotNotFound,
)
from storage.mongodb.connection import Client, Database
from storage.mongodb.transaction import in_transaction, instant

T = TypeVar("T")


class BaseMoved(Exception):
    """Another version became current since the batch was sealed: compare it with that one and publish again."""


class Publisher:
    """Creates lists, and publishes batches."""

    def __init__(self, client: Client, db: Database, operations: PointerMoves, metrics: StorageMetrics) -> None:
        self._client = client
        self._pointer_moves = operations
        self._price_lists = PriceListRepository(db)
        self._snapshots = SnapshotRepository(db)
        self._events = EventRepository(db)
        self._batches = BatchRepository(db)
        self._metrics = metrics

    async def create(
        self, name: str, description: str | None, gates: Gates, by: str, retention: Retention = DEFAULT_RETENTION
    ) -> PriceList:
        """Create an empty list. Raises `InvalidArgument` for the name, a gate or the retention, `PriceListExists`."""
        check_name(name)
        check_gates(gates)
        check_retention(retention)
        now = instant()
        price_list = PriceList(name, description, None, 0, 1, None, now, gates=gates, retention=retention)

        async def act(session: AsyncClientSession) -> PriceList:
            await self._price_lists.add(price_list, session)
            await self._events.append(Event(name, 1, EventKind.CREATED, now, by), session)
            return price_list

        try:
            return await self._transaction(act)
        except DuplicateKeyError as error:
            raise PriceListExists(name) from error

    async def update(self, name: str, by: str, changes: Callable[[PriceList], PriceList]) -> PriceList:
        """Change a list's description, gates and retention. Raises `PriceListNotFound`, `InvalidArgument`."""

        async def act(session: AsyncClientSession) -> PriceList:
            price_list = await self._price_lists.get(name, session)
            wanted = changes(price_list)
            check_gates(wanted.gates)
            check_retention(wanted.retention)
            moved = await self._price_lists.move(
                price_list,
                session,
                description=wanted.description,
                gates=wanted.gates,
                retention=wanted.retention,
            )
            await self._events.append(event_of(price_list, moved, EventKind.UPDATED, by, instant()), session)
            return moved

        return await self._transaction(act)

    async def publish(self, batch: Batch, sealed: Seal, findings: Sequence[GateFinding]) -> Batch:
        """Give a sealed batch a version, and make it current: or hold it, or reject it.

        It is held by a pin, by a finding and by its own `publish: ON_APPROVAL`; rejected by a finding, and when the
        current version is not the one that it expected. A dry run ends here. Raises `BaseMoved` when another version
        became current since it was sealed, and `LeaseLost` when another process has taken the batch over.
        """

        async def act(session: AsyncClientSession) -> Batch:
            price_list = await self._price_lists.get(batch.price_list, session)
            if price_list.current_version != sealed.base:
                raise BaseMoved
            found = [*findings, *_holds(batch, price_list)]
            told: dict[str, Any] = {"summary": sealed.facts.summary, "base": sealed.base, "findings": found}
            if batch.publish is PublishPolicy.DRY_RUN:
                return await self._batches.advance(batch, BatchState.ABORTED, session, finished_at=instant(), **told)
            refusal = _refusal(batch, price_list, findings)
            if refusal:
                return await self._reject(batch, price_list, refusal, session, **told)
            snapshot = await self._manifest(batch, price_list, sealed.facts.size, session)
            await self._snapshots.add(snapshot, session)
            if any(finding.severity is Severity.HOLD for finding in found):
                return await self._hold(batch, price_list, snapshot, session, **told)
            by = batch.submitted_by
            return await self._make_current(batch, price_list, snapshot, EventKind.PUBLISHED, by, None, session, **told)

        return await self._settled(batch, act)

    async def approve(self, batch: Batch, sealed: Seal, *, by: str, reason: str) -> Batch:
        """Publish a batch that was held, as a version above all that were published before.

        Raises `Pinned` while the list is, `Conflict` when the batch expected another version to be current, and
        `BaseMoved` when one became current since `sealed`.
        """
        check_reason(reason)

        async def act(session: AsyncClientSession) -> Batch:
            price_list = await self._price_lists.get(batch.price_list, session)
            if price_list.pin:
                raise Pinned(price_list.name, price_list.pin.version)
            price_list.expect(batch.expected_version)
            if price_list.current_version != sealed.base:
                raise BaseMoved
            return await self._publish_held(batch, price_list, sealed, EventKind.APPROVED, by, reason, session)

        return await self._settled(batch, act)

    async def reject(self, batch: Batch, *, by: str, reason: str) -> Batch:
        """Put an end to a batch that was held. Its version cannot be read any more."""
        check_reason(reason)

        async def act(session: AsyncClientSession) -> Batch:
            price_list = await self._price_lists.get(batch.price_list, session)
            return await self._reject_held(batch, price_list, Refusal("REJECTED", reason), by, session)

        return await self._settled(batch, act)

    async def _settled(self, batch: Batch, act: Callable[[AsyncClientSession], Awaitable[Batch]]) -> Batch:
        try:
            outcome = await self._transaction(act)
        except PyMongoError:
            # The commit's outcome may be unknown; the batch's own record, written with the pointer, knows it.
            outcome = await self._batches.get(batch.id)
            if outcome.state == batch.state:
                raise
        if outcome.token == batch.token:  # else another process took it over, and counts it
            self._metrics.batch_moved(batch, outcome)
        return outcome

    async def _manifest(self, batch: Batch, price_list: PriceList, size: int, session: AsyncClientSession) -> Snapshot:
        """Return the next version: the batch's layer, in a merge upon those of the current version."""
        if batch.rows is None or batch.checksum is None:
            raise AssertionError(f"Batch {batch.id} is not sealed.")
        base = price_list.current_version
        below: tuple[Layer, ...] = ()
        if batch.mode is BatchMode.MERGE and base is not None:
            current = await self._snapshots.get(price_list.name, base, session)
            if current is None:
                raise Corrupt(f"The manifest of version {base} of {price_list.name!r} is gone. Run `pricebook check`.")
            below = current.layers
        return Snapshot(
            price_list=price_list.name,
            version=price_list.last_version + 1,
            layers=(Layer(batch.layer, batch.rows, batch.checksum), *below),
            size=size,
            state=SnapshotState.SEALED,
            created_at=instant(),
            published_at=None,
            label=batch.label,
            batch=batch.id,
            base=base,
        )

    async def _held_snapshot(self, batch: Batch, price_list: PriceList, session: AsyncClientSession) -> Snapshot:
        if batch.version is None:
            raise BatchNotHeld(batch.id, batch.state)
        snapshot = await self._snapshots.get(price_list.name, batch.version, session)
        if snapshot is None:
            raise SnapshotNotFound(price_list.name, batch.version)
        return snapshot

    async def _publish_held(
        self,
        batch: Batch,
        price_list: PriceList,
        sealed: Seal,
        kind: EventKind,
        by: str,
        reason: str,
        session: AsyncClientSession,
    ) -> Batch:
        """Make the version of a held batch current; a new one where it lies upon another than the current one."""
        snapshot = await self._held_snapshot(batch, price_list, session)
        if sealed.base != batch.base or snapshot.version <= price_list.published_version:
            await self._snapshots.mark_retired(price_list.name, snapshot.version, session)
            snapshot = await self._manifest(batch, price_list, sealed.facts.size, session)
            await self._snapshots.add(snapshot, session)
        told = {"summary": sealed.facts.summary, "base": sealed.base}
        return await self._make_current(batch, price_list, snapshot, kind, by, reason, session, **told)

    async def _make_current(
        self,
        batch: Batch,
        price_list: PriceList,
        snapshot: Snapshot,
        kind: EventKind,
        by: str,
        reason: str | None,
        session: AsyncClientSession,
        **told: Any,
    ) -> Batch:
        version, now = snapshot.version, instant()
        moved = await self._price_lists.move(
            price_list,
            session,
            current_version=version,
            published_version=version,
            last_version=max(version, price_list.last_version),
        )
        await self._snapshots.mark_published(price_list.name, version, now, session)
        await self._events.append(event_of(price_list, moved, kind, by, now, batch=batch.id, reason=reason), session)
        return await self._batches.advance(
            batch, BatchState.PUBLISHED, session, version=version, revision=moved.revision, finished_at=now, **told
        )

    async def _hold(
        self, batch: Batch, price_list: PriceList, snapshot: Snapshot, session: AsyncClientSession, **told: Any
    ) -> Batch:
        moved = await self._price_lists.move(price_list, session, last_version=snapshot.version)
        await self._events.append(
            event_of(price_list, moved, EventKind.HELD, batch.submitted_by, instant(), batch=batch.id), session
        )
        return await self._batches.advance(batch, BatchState.HELD, session, version=snapshot.version, **told)

    async def _reject_held(
        self, batch: Batch, price_list: PriceList, refusal: Refusal, by: str, session: AsyncClientSession
    ) -> Batch:
        snapshot = await self._held_snapshot(batch, price_list, session)
        await self._snapshots.mark_retired(price_list.name, snapshot.version, session)
        return await self._reject(batch, price_list, refusal, session, by=by)

    async def _reject(
        self,
        batch: Batch,
        price_list: PriceList,
        refusal: Refusal,
        session: AsyncClientSession,
        by: str | None = None,
        **told: Any,
    ) -> Batch:
        now, by = instant(), by or batch.submitted_by
        moved = await self._price_lists.move(price_list, session)
        event = event_of(price_list, moved, EventKind.REJECTED, by, now, batch=batch.id, reason=refusal.message)
        await self._events.append(event, session)
        return await self._batches.advance(
            batch, BatchState.REJECTED, session, finished_at=now, refusal=refusal, **told
        )

    async def abandon(self, batch: Batch, state: BatchState, refusal: Refusal, *, by: str, **changes: object) -> Batch:
        """Note that a batch came to nothing: it is FAILED, or ABORTED. `changes` are further fields, as its errors."""

        async def act(session: AsyncClientSession) -> Batch:
            now = instant()
            price_list = await self._price_lists.get(batch.price_list, session)
            moved = await self._price_lists.move(price_list, session)
            kind = EventKind(state)
            event = event_of(price_list, moved, kind, by, now, batch=batch.id, reason=refusal.message)
            await self._events.append(event, session)
            return await self._batches.advance(batch, state, session, finished_at=now, refusal=refusal, **changes)

        return await self._settled(batch, act)

    async def publish_latest(
        self, seen: PriceList, latest: Batch, others: Sequence[Batch], sealed: Seal, *, by: str, reason: str
    ) -> PriceList:
        """Unpin, publish the newest batch that waited, and reject the others as superseded: all of it or nothing.

        Raises `NotPinned`, and `BaseMoved` when the pointer is not as it was `seen` any more.
        """
        check_reason(reason)

        async def act(session: AsyncClientSession) -> tuple[PriceList, list[Batch]]:
            price_list = await self._price_lists.get(seen.name, session)
            if price_list.revision != seen.revision:
                raise BaseMoved
            price_list = await self._pointer_moves.clear_pin(price_list, by, reason, session)
            moved = []
            superseded = Refusal(
                "SUPERSEDED", f"Batch {latest.id} was published in its place when the list was unpinned."
            )
            for other in others:
                moved.append(await self._reject_held(other, price_list, superseded, by, session))
                price_list = await self._price_lists.get(seen.name, session)
            kind = EventKind.PUBLISHED
            moved.append(await self._publish_held(latest, price_list, sealed, kind, by, reason, session))
            return await self._price_lists.get(seen.name, session), moved

        price_list, moved = await self._transaction(act)
        for before, after in zip([*others, latest], moved, strict=True):
            self._metrics.batch_moved(before, after)
        return price_list

    async def _transaction(self, act: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        return await in_transaction(self._client, act)


def _holds(batch: Batch, price_list: PriceList) -> list[GateFinding]:
    """Return what holds a batch besides its gates."""
    holds = []
    if batch.publish is PublishPolicy.ON_APPROVAL:
        holds.append(GateFinding("onApproval", Severity.HOLD, "The batch was sent with publish: ON_APPROVAL."))
    if price_list.pin:
        pin = price_list.pin
        message = f"Version {pin.version} is pinned by {pin.by}: {pin.reason}"
        holds.append(GateFinding(PIN, Severity.HOLD, message))
    return holds


def _refusal(batch: Batch, price_list: PriceList, findings: Sequence[GateFinding]) -> Refusal | None:
    """Return why a batch is rejected, if it is."""
    try:
        price_list.expect(batch.expected_version)
    except Conflict as conflict:
        return Refusal(conflict.code, conflict.message)
    rejecting = [finding.message for finding in findings if finding.severity is Severity.REJECT]
    return Refusal("GATE_REJECTED", " ".join(rejecting)) if rejecting else None
