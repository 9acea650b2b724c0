"""The meter: what was committed is counted once, with how long it took; and what the driver did."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from storage import BatchMode, BatchState, Histogram, PublishPolicy, StorageMetrics, Store
from storage.batches import lifecycle
from storage.errors import NotRetired
from storage.mongodb.transaction import in_transaction
from tests.storage.factories import create, current, failed, held, published, row, rows, submit, versions

REPLACE = BatchMode.REPLACE


def counted(store: Store) -> dict[str, int]:
    return {state: count for (_, _, state), count in store.metrics.batches.items()}


def test_a_tally_counts_by_upper_bounds() -> None:
    tally = Histogram((0.1, 1.0))
    for seconds in (0.0, 0.1, 0.2, 1.0, 5.0):
        tally.add(seconds)
    assert tally.counts == [2, 2, 1]
    assert tally.seconds == pytest.approx(6.3)


async def test_a_batch_is_counted_in_the_state_that_it_reached_with_its_rows(store: Store) -> None:
    await create(store)
    await published(store, rows(3))
    await submit(store, [row("a")], publish=PublishPolicy.DRY_RUN)
    await failed(store)
    assert counted(store) == {"PUBLISHED": 1, "ABORTED": 1, "FAILED": 1}
    assert store.metrics.rows == {("retail", REPLACE): 3 + 1 + 2}
    assert sum(store.metrics.durations[REPLACE, BatchState.PUBLISHED].counts) == 1


async def test_a_batch_that_is_sent_again_is_not_counted_again(store: Store) -> None:
    await create(store)
    for _ in range(2):
        await submit(store, [row("a")], key="same")
    assert counted(store) == {"PUBLISHED": 1}


async def test_a_review_counts_and_takes_no_time_of_the_batch(store: Store) -> None:
    await versions(store, 1)
    batch = await held(store, [row("b")])
    await store.lifecycle.reject(batch.id, by="ops", reason="no")
    assert counted(store) == {"PUBLISHED": 1, "HELD": 1, "REJECTED": 1}
    assert set(store.metrics.durations) == {(REPLACE, BatchState.PUBLISHED), (REPLACE, BatchState.HELD)}
    assert store.metrics.rows == {("retail", REPLACE): 2}


async def test_an_unpin_that_publishes_counts_the_newest_and_those_that_it_supersedes(store: Store) -> None:
    await versions(store, 1)
    await held(store, [row("b")])
    await submit(store, [row("c")])
    await store.lifecycle.publish_latest("retail", by="ops", reason="go on")
    assert counted(store) == {"PUBLISHED": 2, "HELD": 2, "REJECTED": 1}


async def test_a_publish_whose_answer_was_lost_is_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(store)

    async def lost(*args: Any) -> None:
        await in_transaction(*args)
        raise AutoReconnect("The answer was lost.")

    monkeypatch.setattr(lifecycle, "in_transaction", lost)
    await published(store, [row("a")])
    assert counted(store) == {"PUBLISHED": 1}


async def test_what_retention_does_is_counted_when_it_is_done(store: Store) -> None:
    await versions(store, 1)
    with pytest.raises(NotRetired):
        await store.expirer.restore("retail", 1, by="ops", reason="why not")
    assert (store.metrics.retired, store.metrics.restored) == ({}, {})


async def test_what_is_held_and_kept_is_told_by_list(store: Store) -> None:
    assert (await store.batches.held(), await store.snapshots.counts()) == ({}, {})
    await versions(store, 2)
    await held(store, [row("b")])
    assert await store.batches.held() == {"retail": 1}
    assert await store.snapshots.counts() == {"retail": await store.snapshots.count("retail")} == {"retail": 3}


@pytest.fixture
async def metered(mongodb_uri: str) -> AsyncIterator[Store]:
    """A store that counts its driver, with at most two connections to each server."""
    store = await Store.open(f"{mongodb_uri}&maxPoolSize=2", f"test_{secrets.token_hex(6)}", metrics=StorageMetrics())
    yield store
    await store.client.drop_database(store.db.name)
    await store.close()


async def test_connections_are_counted_by_server_and_never_more_than_there_may_be(metered: Store) -> None:
    await asyncio.gather(*(metered.ping() for _ in range(10)))
    host, port = await metered.client.primary or ("", 0)
    pool = metered.metrics.driver.pools[f"{host}:{port}"]
    assert (pool.limit, pool.open, pool.in_use) == (2, 2, 0)
    assert sum(pool.checkouts.counts) >= 10
    assert pool.failures == 0


async def test_commands_are_counted_by_name_with_those_that_failed(metered: Store) -> None:
    driver = metered.metrics.driver
    assert await current_or_none(metered) is None
    before = sum(driver.commands["find"].counts), driver.command_failures["find"]
    assert await current_or_none(metered) is None
    with pytest.raises(OperationFailure):
        await metered.db["price_lists"].find_one({"$no": 1})
    assert (sum(driver.commands["find"].counts), driver.command_failures["find"]) == (before[0] + 2, before[1] + 1)
    assert driver.commands["find"].seconds > 0


async def current_or_none(store: Store) -> int | None:
    found = await store.price_lists.find("retail")
    return None if found is None else await current(store)
