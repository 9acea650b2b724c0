"""The batches in progress of a list, and of a caller, are limited; opening a batch again is never refused."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from unittest.mock import patch

import pytest

from storage import Batch, BatchState, PublishPolicy, Store
from storage.batches import admission
from storage.batches.admission import MAX_CONCURRENT_OPENINGS, TooManyHeldBatches, TooManyOpenBatches
from storage.errors import Conflict, IdempotencyKeyReused
from tests.storage.factories import (
    create,
    expire_leases,
    layer_ids,
    layers,
    left_open,
    order,
    row,
    rows,
    source,
    submit,
    versions,
)

LIMIT = 3


@pytest.fixture
async def limited(mongodb_uri: str, store: Store) -> AsyncIterator[Store]:
    """A store that allows `LIMIT` batches in progress, with two lists."""
    limited = await Store.open(mongodb_uri, store.db.name, max_open_batches=LIMIT)
    await create(limited)
    await create(limited, "other")
    yield limited
    await limited.close()


async def opened(store: Store, key: str, price_list: str = "retail", by: str = "integrator") -> Batch:
    return await store.multipart.open(replace(order(price_list, key), by=by))


async def in_progress(store: Store) -> int:
    states = [BatchState.OPEN, BatchState.SEALING]
    return await store.db["batches"].count_documents({"state": {"$in": states}})


async def test_a_list_has_at_most_as_many_open_batches_as_the_setting_allows(limited: Store) -> None:
    for number in range(LIMIT):
        await opened(limited, f"{number}", by=f"caller-{number}")
    with pytest.raises(TooManyOpenBatches, match="'retail' has 3 batches in progress") as refused:
        await opened(limited, "more", by="another")
    assert refused.value.code == "TOO_MANY_OPEN_BATCHES"
    assert refused.value.path == ("input", "priceList")
    with pytest.raises(TooManyOpenBatches):
        await submit(limited, [row("a")])
    await opened(limited, "more", "other", by="another")


async def test_a_caller_has_at_most_as_many_open_batches_on_all_lists(limited: Store) -> None:
    for number in range(LIMIT):
        await opened(limited, f"{number}", ("retail", "other")[number % 2])
    with pytest.raises(TooManyOpenBatches, match="The caller 'integrator' has 3 batches in progress"):
        await opened(limited, "more", "other")
    await opened(limited, "more", "other", by="another")


async def test_a_batch_that_exists_is_returned_at_the_limit(limited: Store, other_store: Store) -> None:
    batches = [await opened(limited, f"{number}") for number in range(LIMIT)]
    assert [await opened(limited, f"{number}") for number in range(LIMIT)] == batches
    with pytest.raises(IdempotencyKeyReused):
        await submit(limited, [row("a")], key="0")
    with patch.object(limited.batches, "by_key", side_effect=[None, batches[0]]):  # opened since the first look
        assert await opened(limited, "0") == batches[0]


async def test_a_batch_whose_process_died_is_finished_by_the_same_request_at_the_limit(limited: Store) -> None:
    for number in range(LIMIT):
        await left_open(limited, [row("a")], f"{number}")
    with pytest.raises(TooManyOpenBatches):
        await submit(limited, [row("a")], key="more")
    await expire_leases(limited)
    assert (await submit(limited, [row("a")], key="0")).state is BatchState.PUBLISHED
    assert (await submit(limited, [row("a")], key="more")).state is BatchState.PUBLISHED


async def test_aborting_or_finishing_a_batch_makes_room(limited: Store) -> None:
    batches = [await opened(limited, f"{number}") for number in range(LIMIT)]
    await limited.multipart.abort(batches[0].id, by="integrator", reason=None)
    fourth = await opened(limited, "fourth")
    await limited.multipart.append(fourth.id, 0, await source(rows(10)), ())
    committed, _ = await limited.multipart.commit(fourth.id, 1, 10)
    with pytest.raises(TooManyOpenBatches):
        await opened(limited, "fifth")  # SEALING counts
    assert (await limited.worker.finish(committed)).state is BatchState.PUBLISHED
    await opened(limited, "fifth")


async def test_what_is_wrong_with_the_order_comes_first(limited: Store) -> None:
    for number in range(LIMIT):
        await opened(limited, f"{number}")
    with pytest.raises(Conflict):
        await limited.multipart.open(order(expected_version=7))


async def test_concurrent_openings_of_several_processes_exceed_the_limit_by_a_few_at_most(
    limited: Store, mongodb_uri: str
) -> None:
    other = await Store.open(mongodb_uri, limited.db.name, max_open_batches=LIMIT)
    try:
        stores = (limited, other)
        results = await asyncio.gather(
            *(opened(stores[number % 2], f"{number}") for number in range(100)), return_exceptions=True
        )
    finally:
        await other.close()
    count = await in_progress(limited)
    assert LIMIT <= count <= LIMIT + len(stores) * (MAX_CONCURRENT_OPENINGS - 1)
    assert sum(isinstance(result, Batch) for result in results) == count
    assert {type(result) for result in results} == {Batch, TooManyOpenBatches}


async def test_concurrent_openings_with_one_key_give_one_batch_at_the_limit(limited: Store) -> None:
    for number in range(LIMIT - 1):
        await opened(limited, f"{number}")
    batches = await asyncio.gather(*(opened(limited, "last") for _ in range(50)))
    assert len({batch.id for batch in batches}) == 1
    assert await in_progress(limited) == LIMIT


async def test_held_batches_are_limited(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_HELD_BATCHES", 2)
    await versions(store, 1)
    held = [await submit(store, [row("a")], publish=PublishPolicy.ON_APPROVAL) for _ in range(2)]
    with pytest.raises(TooManyHeldBatches, match="2 held batches") as refused:
        await submit(store, [row("a")])
    assert refused.value.code == "TOO_MANY_HELD_BATCHES"
    await store.lifecycle.reject(held[0].id, by="ops", reason="old")
    assert (await submit(store, [row("a")])).state is BatchState.PUBLISHED


async def test_the_limits_are_checked_with_an_index_that_has_unfinished_batches_alone(limited: Store) -> None:
    finished = await limited.db["batches"].find_one({"_id": (await submit(limited, [row("a")])).id})
    assert finished is not None
    more = [{**finished, "_id": f"{number}", "key": f"old-{number}"} for number in range(1000)]
    await limited.db["batches"].insert_many(more)
    await limited.db.command("planCacheClear", "batches")
    await opened(limited, "1")
    await limited.db.command("profile", 2)
    await limited.batches.unfinished("retail")
    await limited.batches.in_progress("integrator")
    await limited.db.command("profile", 0)
    profile = await limited.db["system.profile"].find({"command.aggregate": "batches"}).to_list()
    unfinished = "IXSCAN { state: 1, list: 1, heldByPin: 1, version: -1, submittedBy: 1, release: 1 }"
    assert [entry["planSummary"] for entry in profile] == [unfinished, unfinished]
    assert all(entry["docsExamined"] == 0 and entry["keysExamined"] <= 4 for entry in profile), profile


async def test_a_batch_has_no_collection_before_its_first_row(limited: Store) -> None:
    batch = await opened(limited, "1")
    assert await layers(limited) == set()
    await limited.multipart.append(batch.id, 0, await source([row("a", "-1")]), ())
    assert await layers(limited) == set()
    failed, _ = await limited.multipart.commit(batch.id, 1, 1)
    assert failed.state is BatchState.FAILED
    second = await opened(limited, "2")
    await limited.multipart.append(second.id, 0, await source([row("a")]), ())
    assert await layers(limited) == layer_ids([second])
