"""Batches that come in parts: opened, appended to in any order and through any process, committed or aborted.

The rows of a part are staged in runs of their own, whatever other attempts there are. The part exists once its record
does, which names these runs; of several attempts, the first to write that record counts.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import msgspec

from storage.batches.admission import BatchAdmission, check_order, check_removals
from storage.batches.batch import Batch, BatchOrder, Refusal
from storage.batches.intake import Intake
from storage.batches.item_errors import MAX_ITEM_ERRORS, ErrorReport, ItemErrorRepository, ReportRange, in_steps
from storage.batches.lease_renewal import keep_open
from storage.batches.lifecycle import BatchLifecycle
from storage.batches.parts import MAX_PARTS, Part, PartRepository
from storage.batches.repository import BatchRepository
from storage.batches.runs import repeated_message
from storage.batches.staging import StagingRepository
from storage.batches.states import DISCARDED_STATES, BatchState
from storage.batches.submit import order_fingerprint
from storage.catalog.transactions import check_reason
from storage.errors import (
    BatchNotFound,
    BatchNotOpen,
    EmptyBatch,
    IdempotencyKeyReused,
    InvalidArgument,
    LeaseLost,
    PartsMissing,
    PartsUnexpected,
    Refused,
    SequenceReused,
    SizeMismatch,
)
from storage.files.row_source import RowSource
from storage.files.tombstones import with_tombstones
from storage.prices.item_error import ItemError


class MultipartBatches:
    """Takes in batches that come in parts."""

    def __init__(
        self,
        batches: BatchRepository,
        admission: BatchAdmission,
        parts: PartRepository,
        item_errors: ItemErrorRepository,
        staging: StagingRepository,
        lifecycle: BatchLifecycle,
    ) -> None:
        self._batches = batches
        self._admission = admission
        self._parts = parts
        self._item_errors = item_errors
        self._staging = staging
        self._lifecycle = lifecycle

    async def open(self, order: BatchOrder) -> Batch:
        """Open a batch, or return the one that was opened with the same idempotency key.

        Raises `PriceListNotFound`, `Conflict`, `InvalidArgument`, `TooManyOpenBatches`, `TooManyHeldBatches`,
        `IdempotencyKeyReused`, `InvalidPublishAt`, `ReleaseNotFound`, `ReleaseNotOpen`, `ReleaseFull`.
        """
        check_order(order)
        order = replace(order, chunked=True)
        fingerprint = order_fingerprint(order)
        batch, _ = await self._admission.open(order, fingerprint, None)
        if batch.fingerprint != fingerprint:
            raise IdempotencyKeyReused(order.key, batch.id)
        return batch

    async def append(self, batch_id: str, sequence: int, source: RowSource, removals: Sequence[str]) -> Part:
        """Store one part. A part that was stored before is acknowledged, and not stored twice.

        Raises `BatchNotFound`, `BatchNotOpen`, `RemoveInReplace`, `EmptyBatch`, `SequenceReused`, `InvalidArgument`,
        `FileRefused`, `Interrupted`, `Unavailable`.
        """
        batch = await self._open_batch(batch_id)
        check_removals(batch.mode, removals)
        if not 0 <= sequence < MAX_PARTS:
            raise InvalidArgument(f"The sequence of a part must be 0 to {MAX_PARTS - 1}.", path=("input", "sequence"))
        if source.expected == 0 and not removals:
            raise EmptyBatch
        known = await self._parts.find(batch.id, sequence)
        if known:
            await source.drain()
            return _check_same(known, _fingerprint(source, removals))
        return await self._store(batch, sequence, source, removals)

    async def _store(self, batch: Batch, sequence: int, source: RowSource, removals: Sequence[str]) -> Part:
        intake = Intake(self._staging, batch.id, sequence)
        async with keep_open(self._batches, batch):
            await intake.take(with_tombstones(source.slices(), removals), source.line_of)
            runs = await intake.finish()
        if not intake.received:
            raise EmptyBatch
        fingerprint = _fingerprint(source, removals)
        if fingerprint is None:
            raise AssertionError("A source that was read to its end has a fingerprint.")
        report = await self._report(batch.id, intake.errors) if intake.errors else None
        part = Part(
            sequence,
            fingerprint,
            prices=intake.received - len(removals),
            rows=intake.accepted,
            runs=tuple(runs),
            error_report=report,
            error_count=intake.error_count,
        )
        stored = await self._parts.add(batch.id, part)
        is_open = await self._batches.touch(batch.id, part.rows if stored == part else 0)
        if report and (stored != part or not is_open):
            await self._item_errors.drop(batch.id, report)
        if not is_open:
            raise await self._refused_late(batch)
        return _check_same(stored, fingerprint)

    async def _report(self, batch: str, errors: Sequence[ItemError]) -> ErrorReport | None:
        """Write the errors of a part, unless earlier ones have as many as are kept of a batch."""
        room = MAX_ITEM_ERRORS - await self._parts.stored_errors(batch)
        return await self._item_errors.write(batch, errors[:room]) if room > 0 else None

    async def _refused_late(self, batch: Batch) -> Refused:
        """Return the error of a part whose batch was committed, aborted or removed meanwhile; drop what it left."""
        found = await self._batches.find(batch.id)
        if found is None or found.state in DISCARDED_STATES:
            await self._item_errors.keep_only(batch.id, found.error_report if found else None)
            await self._parts.drop(batch.id)
            await self._staging.drop(batch.id)
        return BatchNotOpen(batch.id, found.state) if found else BatchNotFound(batch.id)

    async def commit(self, batch_id: str, parts: int, size: int) -> tuple[Batch, bool]:
        """Commit a batch, and return it with whether this process must finish it now.

        A batch that was committed before is returned as it is. A part with invalid items fails the batch, with the
        errors of all parts. Raises `BatchNotFound`, `BatchNotOpen`, `PartsMissing`, `PartsUnexpected`,
        `SizeMismatch`, `EmptyBatch`, `InvalidArgument`; the batch then stays open.
        """
        batch = await self._batches.get(batch_id)
        if not batch.chunked:
            raise BatchNotOpen(batch.id, batch.state)
        if batch.state is not BatchState.OPEN:
            return batch, False
        stored = await self._parts.by_batch(batch.id)
        _check_parts(stored, parts, size)
        leased = await self._batches.lease(batch.id)
        if leased is None:
            return await self._batches.get(batch.id), False
        error_count = sum(part.error_count for part in stored)
        if error_count:
            received = sum(part.received for part in stored)
            errors = await self._errors(batch.id, stored)
            return await self._lifecycle.fail_items(leased, errors, error_count, received), False
        total = sum(part.rows for part in stored)
        try:
            committed = await self._batches.advance(
                leased, BatchState.SEALING, rows=total, expected=total, received=total, stored=total
            )
        except LeaseLost:  # another call committed or aborted the batch in the same moment
            return await self._batches.get(batch.id), False
        return committed, True

    async def abort(self, batch_id: str, *, by: str, reason: str | None) -> Batch:
        """Abort an open batch and drop its rows. Raises `InvalidArgument`, `BatchNotFound`, `BatchNotOpen`."""
        if reason is not None:
            check_reason(reason)
        batch = await self._open_batch(batch_id)
        leased = await self._batches.lease(batch.id)
        if leased is None:
            raise BatchNotOpen(batch.id, (await self._batches.get(batch.id)).state)
        aborted = await self._lifecycle.abort(leased, Refusal("ABORTED", reason or "Aborted by its sender."), by=by)
        if aborted.state is not BatchState.ABORTED:
            raise BatchNotOpen(batch.id, aborted.state)
        return aborted

    async def _errors(self, batch: str, stored: Sequence[Part]) -> list[ItemError]:
        """Return the first errors of all parts, with the index of the item in the whole batch."""
        ranges, offsets = _first_errors(batch, stored)
        found = zip(await self._item_errors.read(ranges), offsets, strict=True)
        return [_moved(error, offset) for errors, offset in found async for some in in_steps(errors) for error in some]

    async def _open_batch(self, batch_id: str) -> Batch:
        batch = await self._batches.get(batch_id)
        if batch.state is not BatchState.OPEN or not batch.chunked:
            raise BatchNotOpen(batch.id, batch.state)
        return batch


def _check_same(known: Part, fingerprint: str | None) -> Part:
    if known.fingerprint != fingerprint:
        raise SequenceReused(known.sequence)
    return known


def _check_parts(stored: Sequence[Part], parts: int, size: int) -> None:
    if parts < 1:
        raise EmptyBatch
    if parts > MAX_PARTS:
        raise InvalidArgument(f"A batch has at most {MAX_PARTS} parts.", path=("input", "parts"))
    complete = {part.sequence for part in stored}
    if missing := [sequence for sequence in range(parts) if sequence not in complete]:
        raise PartsMissing(missing)
    if unexpected := [part.sequence for part in stored if part.sequence >= parts]:
        raise PartsUnexpected(parts, unexpected)
    prices = sum(part.prices for part in stored)
    # Items that cannot be decoded are not counted as prices, so the size of a part with errors is meaningless.
    if prices != size and not any(part.error_count for part in stored):
        raise SizeMismatch(size, prices)


def _first_errors(batch: str, stored: Sequence[Part]) -> tuple[list[ReportRange], list[int]]:
    """Return where the first errors of all parts are stored, and the number of items before each of these parts."""
    ranges: list[ReportRange] = []
    offsets: list[int] = []
    room, received = MAX_ITEM_ERRORS, 0
    for part in stored:
        if part.error_report and room:
            count = min(part.error_report.count, room)
            ranges.append(ReportRange(batch, part.error_report.id, 0, count))
            offsets.append(received)
            room -= count
        received += part.received
    return ranges, offsets


def _moved(error: ItemError, offset: int) -> ItemError:
    """Return an error with the indexes of its items in the whole batch."""
    index = offset + error.index
    if error.duplicate_of is None:
        return msgspec.structs.replace(error, index=index)
    earlier = offset + error.duplicate_of
    message = error.message if error.line else repeated_message(earlier)
    return msgspec.structs.replace(error, index=index, duplicate_of=earlier, message=message)


def _fingerprint(source: RowSource, removals: Sequence[str]) -> str | None:
    """Return the digest of a part; None until its file has been read to the end."""
    rows = source.fingerprint
    return rows and blake2b(msgspec.json.encode((rows, removals)), digest_size=16).hexdigest()
