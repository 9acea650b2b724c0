"""Rows are compared with the current version as they arrive, and again if another version became current."""

from dataclasses import replace
from unittest.mock import patch

from storage import Batch, BatchMode, DiffSummary, Store
from tests.storage.factories import Row, create, order, published, row, rows, snapshot, source, submit


async def opened(store: Store, mode: BatchMode = BatchMode.REPLACE) -> Batch:
    return await store.multipart.open(replace(order(), mode=mode))


async def append(store: Store, batch: Batch, sequence: int, prices: list[Row], remove: tuple[str, ...] = ()) -> None:
    await store.multipart.append(batch.id, sequence, await source(prices), remove)


async def commit(store: Store, batch: Batch, parts: int, size: int) -> Batch:
    committed, _ = await store.multipart.commit(batch.id, parts, size)
    return await store.worker.finish(committed)


async def test_rows_are_not_compared_again_if_the_same_version_is_current(store: Store) -> None:
    await create(store)
    await published(store, rows(3000))
    batch = await opened(store)
    await append(store, batch, 0, rows(1000))
    await append(store, batch, 1, [row("new"), row("sku-001000", "7.00")])
    with patch.object(store.layer_reader, "find_raw", side_effect=AssertionError("compared again")):
        done = await commit(store, batch, 2, 1002)
    assert done.summary == DiffSummary(added=1, removed=1999, changed=1, unchanged=1000)


async def test_parts_that_were_compared_with_different_versions_are_compared_with_the_current_one(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b"), row("c")])
    batch = await opened(store)
    await append(store, batch, 0, [row("a")])
    await published(store, [row("a", "2.00"), row("d")])
    await append(store, batch, 1, [row("d")])
    done = await commit(store, batch, 2, 2)
    assert (done.base, done.summary) == (2, DiffSummary(added=0, removed=0, changed=1, unchanged=1))


async def test_rows_are_compared_again_if_another_version_became_current(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    batch = await opened(store, BatchMode.MERGE)
    await append(store, batch, 0, [row("a"), row("c")], ("b",))
    await published(store, [row("a", "9.00"), row("c")])
    done = await commit(store, batch, 1, 2)
    assert (done.base, done.summary) == (2, DiffSummary(added=0, removed=0, changed=1, unchanged=1))


async def test_rows_are_compared_again_if_the_current_version_was_compacted(store: Store) -> None:
    await create(store)
    await published(store, [row("a"), row("b")])
    for amount in ("2.00", "3.00"):
        await store.submitter.submit(replace(order(), mode=BatchMode.MERGE), await source([row("a", amount)]))
    batch = await opened(store)
    await append(store, batch, 0, [row("a", "3.00"), row("b", "2.00")])
    before = await snapshot(store, 3)
    after = await store.compactor.compact(before)
    assert before.layer_ids != after.layer_ids
    with patch.object(store.layer_reader, "find_raw", wraps=store.layer_reader.find_raw) as find_raw:
        done = await commit(store, batch, 1, 2)
    assert {call.args[0] for call in find_raw.call_args_list} == {after.layer_ids}
    assert done.summary == DiffSummary(added=0, removed=0, changed=1, unchanged=1)


async def test_the_largest_change_is_that_of_all_parts(store: Store) -> None:
    await create(store)
    await published(store, [row("a", "100"), row("b", "100"), row("c", "0")])
    batch = await opened(store)
    await append(store, batch, 0, [row("a", "90"), row("c", "0.00")])
    await append(store, batch, 1, [row("b", "130"), row("d", currency="USD")])
    sealing, _ = await store.multipart.commit(batch.id, 2, 4)
    assert sealing.changes is not None
    assert sealing.changes.largest_change is not None
    assert (str(sealing.changes.largest_change[0]), sealing.changes.largest_change[1]) == ("30.00", "b")
    assert sealing.changes.currencies == {"EUR", "USD"}
    await store.worker.finish(sealing)


async def test_a_batch_in_one_request_is_compared_once(store: Store) -> None:
    await create(store)
    await published(store, rows(2500))
    looked_up: list[int] = []
    find_raw = store.layer_reader.find_raw

    async def counting(layers: tuple[str, ...], skus: list[str]) -> dict[str, bytes]:
        looked_up.append(len(skus))
        return await find_raw(layers, skus)

    with patch.object(store.layer_reader, "find_raw", counting):
        done = await submit(store, rows(2500, "2.00"))
    assert sum(looked_up) == 2500
    assert done.summary == DiffSummary(changed=2500)
