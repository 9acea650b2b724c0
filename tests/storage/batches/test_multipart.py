"""Batches in parts: sent in any order, in parallel, through any process, repeated; published whole or not at all."""

import asyncio
import datetime
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from storage import Batch, BatchMode, BatchState, ItemError, Part, Store
from storage.batches import multipart, runs, staging
from storage.batches.intake import rows_of
from storage.batches.runs import Run
from storage.errors import (
    BatchNotOpen,
    EmptyBatch,
    IdempotencyKeyReused,
    PartsMissing,
    PartsUnexpected,
    RemoveInReplace,
    SequenceReused,
    SizeMismatch,
)
from storage.files.errors import FileRefused
from storage.files.price_file import FileRows
from tests.storage.batches.yielding import steps_of
from tests.storage.factories import Row, amounts, create, current, errors_of, layers, order, published, row, source
from tests.storage.reading import source as file
from tests.waiting import until


async def opened(store: Store, mode: BatchMode = BatchMode.REPLACE, key: str = "monday") -> Batch:
    return await store.multipart.open(replace(order(key=key), mode=mode))


def part(sequence: int) -> list[Row]:
    return [row(f"p{sequence}-{number}") for number in range(10)]


async def append(
    store: Store, batch: Batch, sequence: int, rows: list[Row] | None = None, remove: tuple[str, ...] = ()
) -> Part:
    sent = part(sequence) if rows is None else rows
    return await store.multipart.append(batch.id, sequence, await source(sent), remove)


async def commit(store: Store, batch: Batch, parts: int, size: int) -> Batch:
    committed, must_finish = await store.multipart.commit(batch.id, parts, size)
    return await store.worker.finish(committed) if must_finish else committed


async def test_parts_are_sent_in_any_order_in_parallel_through_any_process_and_repeated(
    store: Store, other_store: Store
) -> None:
    await create(store)
    batch = await opened(store)
    assert (await opened(other_store)).id == batch.id
    await asyncio.gather(
        *(
            append(each, batch, sequence)
            for each, sequence in ((store, 2), (other_store, 0), (store, 1), (other_store, 2))
        )
    )
    await append(store, batch, 0)
    assert await store.parts.stored_sequences([batch.id]) == [[0, 1, 2]]
    done = await commit(other_store, batch, 3, 30)
    assert (done.state, done.version, done.rows) == (BatchState.PUBLISHED, 1, 30)
    assert await amounts(store, 1) == {each["sku"]: "1.00" for sequence in range(3) for each in part(sequence)}


async def test_a_part_that_is_sent_again_with_other_rows_is_refused_and_stays_as_it_was(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    with pytest.raises(SequenceReused):
        await append(store, batch, 0, [row("other")])
    assert (await commit(store, batch, 1, 10)).state is BatchState.PUBLISHED
    assert set(await amounts(store, 1)) == {each["sku"] for each in part(0)}


async def test_a_commit_with_wrong_counts_leaves_the_batch_open(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    with pytest.raises(EmptyBatch):
        await store.multipart.commit(batch.id, 0, 0)
    for sequence in (0, 2):
        await append(store, batch, sequence)
    with pytest.raises(PartsMissing, match="not stored: 1, 3") as missing:
        await store.multipart.commit(batch.id, 4, 40)
    assert missing.value.missing == (1, 3)
    await append(store, batch, 1)
    with pytest.raises(PartsUnexpected, match="stored as well: 2"):
        await store.multipart.commit(batch.id, 2, 20)
    with pytest.raises(SizeMismatch, match="31 prices, but the stored parts contain 30"):
        await store.multipart.commit(batch.id, 3, 31)
    assert (await store.batches.get(batch.id)).state is BatchState.OPEN
    assert (await commit(store, batch, 3, 30)).state is BatchState.PUBLISHED


async def test_a_committed_batch_accepts_no_part_and_is_committed_once(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    done = await commit(store, batch, 1, 10)
    assert await commit(store, batch, 1, 10) == done
    with pytest.raises(BatchNotOpen):
        await append(store, batch, 1)
    assert (await opened(store)).id == batch.id


async def test_a_sku_in_two_parts_is_an_error_with_its_index_in_the_whole_batch(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    await append(store, batch, 1, [row("fine"), row("p0-3", "9.00")])
    failed = await commit(store, batch, 2, 12)
    assert failed.state is BatchState.FAILED
    [error] = await errors_of(store, failed)
    assert (error.index, error.sku, error.code) == (11, "p0-3", "DUPLICATE_SKU")
    assert "item 3 of sequence 0" in error.message
    assert await current(store) is None
    assert await layers(store) == set()


async def test_a_commit_reports_the_invalid_items_of_all_parts(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 1, [row("a", "-1"), row("b")])
    stored = await append(store, batch, 0, [row("c"), row("d", "x")])
    assert stored.error_count == 1
    failed = await commit(store, batch, 2, 4)
    assert [(error.index, error.sku) for error in await errors_of(store, failed)] == [(1, "d"), (2, "a")]
    assert failed.error_count == 2


async def test_only_merges_can_remove_prices(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    with pytest.raises(RemoveInReplace):
        await append(store, await opened(store), 0, remove=("a",))
    batch = await opened(store, BatchMode.MERGE, "tuesday")
    await append(store, batch, 0, [row("c")])
    await append(store, batch, 1, [], ("a",))
    assert (await commit(store, batch, 2, 1)).state is BatchState.PUBLISHED
    assert set(await amounts(store, 2)) == {"b", "c"}


async def test_an_aborted_batch_leaves_nothing_and_a_late_part_does_not_revive_it(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    aborted = await store.multipart.abort(batch.id, by="integrator", reason="wrong file")
    assert (aborted.state, await layers(store)) == (BatchState.ABORTED, set())
    with pytest.raises(BatchNotOpen):
        await append(store, batch, 1)
    await store.staging.write(batch.id, rows_of(Run()))  # as a late part would
    await store.garbage_collector.collect()
    assert await store.staging.batches() == []


async def test_an_idle_batch_is_aborted_and_its_staged_rows_are_dropped(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    await store.garbage_collector.collect()
    assert (await store.batches.get(batch.id)).state is BatchState.OPEN
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)
    await store.db["batches"].update_one({"_id": batch.id}, {"$set": {"touchedAt": long_ago}})
    await store.garbage_collector.collect()
    idle = await store.batches.get(batch.id)
    assert idle.state is BatchState.ABORTED
    assert idle.refusal is not None
    assert idle.refusal.code == "IDLE"
    assert await store.staging.batches() == []


async def test_an_idempotency_key_cannot_be_used_for_another_order(store: Store) -> None:
    await create(store)
    await opened(store)
    with pytest.raises(IdempotencyKeyReused):
        await opened(store, BatchMode.MERGE)


async def test_an_idempotency_key_can_be_used_again_30_days_after_its_batch_finished(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    await commit(store, batch, 1, 10)
    assert (await opened(store)).id == batch.id
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=31)
    await store.db["batches"].update_one({"_id": batch.id}, {"$set": {"finishedAt": long_ago}})
    assert await store.batches.by_key("retail", "monday") is None
    again = await opened(store)
    assert again.id != batch.id
    assert [each.key for each in await store.batches.newest(10)] == ["monday", "monday"]
    assert await opened(store) == again == await store.batches.by_key("retail", "monday")


async def test_an_old_key_is_used_again_by_one_of_several_requests_at_once(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    await commit(store, batch, 1, 10)
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=31)
    await store.db["batches"].update_one({"_id": batch.id}, {"$set": {"finishedAt": long_ago}})
    again = await asyncio.gather(*(opened(store) for _ in range(8)))
    assert len({each.id for each in again}) == 1
    assert await store.batches.count(price_list="retail") == 2


async def test_an_empty_part_is_refused_and_leaves_the_batch_as_it_was(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    with pytest.raises(EmptyBatch):
        await append(store, batch, 1, [])
    with pytest.raises(EmptyBatch):
        await store.multipart.append(batch.id, 1, file("empty.ndjson", b"\n"), ())
    await append(store, batch, 1)
    assert (await commit(store, batch, 2, 20)).state is BatchState.PUBLISHED


async def test_of_two_concurrent_parts_with_one_number_and_other_rows_one_is_refused(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    add = store.parts.add
    first_is_stored = asyncio.Event()

    async def second_waits(batch_id: str, part: Part) -> Part:
        if part.rows == 2:
            await first_is_stored.wait()
        stored = await add(batch_id, part)
        first_is_stored.set()
        return stored

    with patch.object(store.parts, "add", second_waits):
        results = await asyncio.gather(
            *(
                store.multipart.append(
                    batch.id, 0, file("part.ndjson", *[line(f"{name}{n}") for n in range(count)]), ()
                )
                for name, count in (("a", 1), ("b", 2))
            ),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [Part, SequenceReused]
    done = await commit(store, batch, 1, 1)
    assert (done.state, await amounts(store, 1)) == (BatchState.PUBLISHED, {"a0": "1.00"})


def line(sku: str) -> bytes:
    return b'{"sku": "%s", "amount": "1.00", "currency": "EUR"}\n' % sku.encode()


async def test_a_batch_that_cannot_be_aborted_does_not_block_others(store: Store) -> None:
    await create(store)
    batches = [await opened(store, key=key) for key in ("monday", "tuesday", "wednesday")]
    await make_idle(store)
    await store.db["price_lists"].update_one({"_id": "retail"}, {"$set": {"format": 99}})
    await store.garbage_collector.collect()
    assert {(await store.batches.get(batch.id)).state for batch in batches} == {BatchState.OPEN}
    await store.db["price_lists"].update_one({"_id": "retail"}, {"$set": {"format": 1}})
    await make_idle(store)
    await store.garbage_collector.collect()
    assert {(await store.batches.get(batch.id)).state for batch in batches} == {BatchState.ABORTED}


async def make_idle(store: Store) -> None:
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)
    await store.db["batches"].update_many({}, {"$set": {"touchedAt": long_ago}})


async def test_a_slow_part_keeps_its_batch_open(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.batches.lease_renewal.TOUCH_INTERVAL_SECONDS", 0.05)
    await create(store)
    batch = await opened(store)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield line("a")
        begun.set()
        await ended.wait()
        yield line("b")

    rows = FileRows("slow.ndjson", slowly(), 1000)
    appending = asyncio.create_task(store.multipart.append(batch.id, 0, rows, ()))
    await begun.wait()
    await make_idle(store)

    async def is_touched() -> bool:
        return not await store.batches.idle(3600)

    await until(is_touched, "touched")
    assert await store.batches.lease(batch.id, idle=3600) is None, "it is in use"
    ended.set()
    assert (await appending).prices == 2


async def test_a_failed_batch_leaves_no_parts(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0, [row("a", "-1")])
    assert (await commit(store, batch, 1, 1)).state is BatchState.FAILED
    assert await store.parts.by_batch(batch.id) == []
    assert await store.staging.batches() == []


async def test_a_commit_that_loses_its_lease_returns_the_batch_as_it_is(store: Store, other_store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    lease, advance = store.batches.lease, store.batches.advance

    async def overtaken(*arguments: Any, **changes: Any) -> Batch:
        await lease(batch.id)
        return await advance(*arguments, **changes)

    with patch.object(store.batches, "advance", overtaken):
        committed, must_finish = await store.multipart.commit(batch.id, 1, 10)
    assert (committed.id, committed.state, must_finish) == (batch.id, BatchState.OPEN, False)


@pytest.mark.parametrize("outcome", [BatchState.SEALING, BatchState.PUBLISHED])
async def test_an_abort_that_comes_too_late_drops_nothing(store: Store, outcome: BatchState) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)

    async def settled_by_another(leased: Batch, *_: object, **__: object) -> Batch:
        return msgspec.structs.replace(leased, state=outcome)

    with patch.object(store.lifecycle, "_end", settled_by_another), pytest.raises(BatchNotOpen):
        await store.multipart.abort(batch.id, by="integrator", reason=None)
    assert await store.staging.batches() == ([batch.id] if outcome is BatchState.SEALING else [])
    assert len(await store.parts.by_batch(batch.id)) == 1


async def test_a_file_that_is_refused_halfway_is_no_part_and_can_be_sent_corrected(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MAX_RUN_ROWS", 1000)
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    lines = [line(f"a{number:05}") for number in range(20_000)]
    with pytest.raises(FileRefused):
        await store.multipart.append(batch.id, 1, file("part.ndjson.gz", gzip.compress(b"".join(lines))[:-1]), ())
    assert await store.parts.stored_sequences([batch.id]) == [[0]]
    assert await store.db[f"staging.{batch.id}"].count_documents({}) > 20, "its rows are staged, and never merged"
    await store.multipart.append(batch.id, 1, file("part.ndjson", *reversed(lines)), ())
    done = await commit(store, batch, 2, 20_010)
    assert (done.state, done.rows) == (BatchState.PUBLISHED, 20_010)
    assert len(await amounts(store, 1)) == 20_010


async def test_a_refused_file_does_no_harm_to_an_attempt_that_stored_the_part(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await store.multipart.append(batch.id, 0, file("part.ndjson", line("a")), ())
    with pytest.raises(FileRefused):
        await store.multipart.append(batch.id, 0, file("part.ndjson.gz", gzip.compress(line("a"))[:-1]), ())
    assert (await commit(store, batch, 1, 1)).state is BatchState.PUBLISHED


async def test_a_part_that_arrives_while_its_batch_is_aborted_is_not_acknowledged(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    add = store.parts.add

    async def overtaken(batch_id: str, part: Part) -> Part:
        await store.multipart.abort(batch.id, by="integrator", reason=None)
        return await add(batch_id, part)

    with patch.object(store.parts, "add", overtaken), pytest.raises(BatchNotOpen):
        await append(store, batch, 0)
    assert await store.parts.by_batch(batch.id) == []
    assert await store.staging.batches() == []


async def test_a_part_that_arrives_after_the_commit_is_not_acknowledged_and_does_no_harm(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    add, committed = store.parts.add, list[Batch]()

    async def overtaken(batch_id: str, part: Part) -> Part:
        found, _ = await store.multipart.commit(batch.id, 1, 10)
        committed.append(found)
        return await add(batch_id, part)

    with patch.object(store.parts, "add", overtaken), pytest.raises(BatchNotOpen):
        await append(store, batch, 1)
    done = await store.worker.finish(committed[0])
    assert (done.state, done.rows) == (BatchState.PUBLISHED, 10)
    assert set(await amounts(store, 1)) == {each["sku"] for each in part(0)}


async def test_skus_of_thousands_of_parts_are_merged_and_found_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MAX_MERGED_RUNS", 3)
    await create(store)
    batch = await opened(store)
    for sequence in range(10):
        await append(store, batch, sequence)
    assert (await commit(store, batch, 10, 100)).state is BatchState.PUBLISHED
    assert len(await amounts(store, 1)) == 100
    batch = await opened(store, key="tuesday")
    for sequence in range(10):
        await append(store, batch, sequence, [row("same"), row(f"other-{sequence}")])
    failed = await commit(store, batch, 10, 20)
    assert (failed.state, failed.error_count) == (BatchState.FAILED, 9)
    errors = await errors_of(store, failed)
    assert [error.index for error in errors] == list(range(2, 20, 2))
    assert {error.duplicate_of for error in errors} == {0}
    assert errors[0].message == (
        "The sku is also that of item 0. Keep one of the two. They are item 0 of sequence 0 and item 0 of sequence 1."
    )


async def test_a_commit_reads_no_more_errors_than_are_kept(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    await append(store, batch, 1, [row("bad", "-1")] * 6_000)
    stored = await store.db["parts"].find_one({"_id.sequence": 1})
    assert stored is not None
    await store.db["parts"].insert_many({**stored, "_id": {"batch": batch.id, "sequence": n}} for n in range(2, 5))
    read = store.item_errors.read
    with patch.object(store.item_errors, "read", side_effect=read) as reads:
        failed = await commit(store, batch, 5, 10)
    [[ranges]] = [call.args for call in reads.call_args_list]
    assert [each.end for each in ranges] == [6_000, 4_000]
    errors = await errors_of(store, failed)
    assert [errors[n].index for n in (0, 5_999, 6_000, 9_999)] == [10, 6_009, 6_010, 10_009]
    assert (len(errors), failed.error_count) == (10_000, 24_000)


async def test_other_tasks_run_while_a_commit_gathers_the_errors_of_its_parts(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0, [row("bad", "-1")] * 1_200)
    with patch.object(multipart, "_moved", side_effect=multipart._moved) as moved:
        async with steps_of(lambda: moved.call_count) as steps:
            failed = await commit(store, batch, 1, 0)
    assert (failed.error_count, steps) == (1_200, [500, 500, 200])


async def test_the_parts_of_a_batch_store_no_more_errors_than_are_kept(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    for sequence, count in enumerate((6_000, 6_000, 1)):
        stored = await append(store, batch, sequence, [row("bad", "-1")] * count)
        assert stored.error_count == count
    reports = [stored.error_report for stored in await store.parts.by_batch(batch.id)]
    assert [report and report.count for report in reports] == [6_000, 4_000, None]
    failed = await commit(store, batch, 3, 12_001)
    errors = await errors_of(store, failed)
    assert ([error.index for error in errors], failed.error_count) == (list(range(10_000)), 12_001)


async def test_of_two_attempts_to_store_a_part_one_report_is_kept(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    stored = await append(store, batch, 0, [row("bad", "-1")])
    assert stored.error_report is not None
    with patch.object(store.parts, "find", side_effect=[None, stored]):
        assert await append(store, batch, 0, [row("bad", "-1")]) == stored
    with patch.object(store.parts, "find", side_effect=[None, stored]), pytest.raises(SequenceReused):
        await append(store, batch, 0, [row("other", "-1")])
    assert await stored_reports(store) == {stored.error_report.id}


async def test_a_part_that_arrives_after_the_commit_leaves_no_report(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    add = store.parts.add

    async def overtaken(batch_id: str, part: Part) -> Part:
        await store.multipart.commit(batch.id, 1, 10)
        return await add(batch_id, part)

    with patch.object(store.parts, "add", overtaken), pytest.raises(BatchNotOpen):
        await append(store, batch, 1, [row("bad", "-1")])
    assert await stored_reports(store) == set()


async def test_the_error_of_a_sku_that_a_part_has_twice_names_the_items_of_the_batch(store: Store) -> None:
    await create(store)
    batch = await opened(store)
    await append(store, batch, 0)
    await append(store, batch, 1, [row("a"), row("b"), row("a")])
    await store.multipart.append(batch.id, 2, file("p.ndjson", line("c"), line("c")), ())
    failed = await commit(store, batch, 3, 15)
    in_json, in_file = await errors_of(store, failed)
    assert (in_json.index, in_json.duplicate_of) == (12, 10)
    assert in_json.message == "The sku is also that of item 10. Keep one of the two."
    assert (in_file.index, in_file.duplicate_of, in_file.line) == (14, 13, 2)
    assert in_file.message == "The sku is also on line 1. Keep one of the two lines."


async def stored_reports(store: Store) -> set[str]:
    return {document["_id"]["report"] async for document in store.db["item_errors"].find()}


async def test_of_a_batch_that_ended_only_its_own_report_is_kept(store: Store) -> None:
    await create(store)
    other = await opened(store, key="other")
    await append(store, other, 0, [row("bad", "-1")])
    [of_other] = await stored_reports(store)
    batch = await opened(store)
    for sequence in range(3):
        await append(store, batch, sequence, [row(f"bad-{sequence}", "-1")])
    await store.item_errors.write(batch.id, [ItemError(0, "a", None, "ROW_NOT_JSON", "of an attempt that was killed")])
    failed = await commit(store, batch, 3, 3)
    assert failed.error_report is not None
    assert await stored_reports(store) == {of_other, failed.error_report.id}
    await store.multipart.abort(other.id, by="ops", reason="wrong file")
    assert await stored_reports(store) == {failed.error_report.id}
