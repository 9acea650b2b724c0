"""Metrics: every committed change is counted once, with its duration; and the commands of the driver."""

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


def counts_by_state(store: Store) -> dict[str, int]:
    return {state: count for (_, _, state), count in store.metrics.batches.items()}


def test_a_histogram_counts_by_upper_bounds() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.0, 0.1, 0.2, 1.0, 5.0):
        histogram.add(seconds)
    assert histogram.counts == [2, 2, 1]
    assert histogram.seconds == pytest.approx(6.3)


async def test_a_batch_is_counted_by_its_state_with_its_rows(store: Store) -> None:
    await create(store)
    await published(store, rows(3))
    await submit(store, [row("a")], publish=PublishPolicy.DRY_RUN)
    await failed(store)
    assert counts_by_state(store) == {"PUBLISHED": 1, "ABORTED": 1, "FAILED": 1}
    assert store.metrics.rows == {("retail", REPLACE): 3 + 1 + 2}
    assert sum(store.metrics.durations[REPLACE, BatchState.PUBLISHED].counts) == 1


async def test_a_batch_that_is_sent_again_is_not_counted_again(store: Store) -> None:
    await create(store)
    for _ in range(2):
        await submit(store, [row("a")], key="same")
    assert counts_by_state(store) == {"PUBLISHED": 1}


async def test_a_review_is_counted_and_its_duration_is_not(store: Store) -> None:
    await versions(store, 1)
    batch = await held(store, [row("b")])
    await store.lifecycle.reject(batch.id, by="ops", reason="no")
    assert counts_by_state(store) == {"PUBLISHED": 1, "HELD": 1, "REJECTED": 1}
    assert set(store.metrics.durations) == {(REPLACE, BatchState.PUBLISHED), (REPLACE, BatchState.HELD)}
    assert store.metrics.rows == {("retail", REPLACE): 2}


async def test_an_unpin_that_publishes_counts_the_newest_batch_and_the_superseded_ones(store: Store) -> None:
    await versions(store, 1)
    await held(store, [row("b")])
    await submit(store, [row("c")])
    await store.lifecycle.publish_latest("retail", by="ops", reason="x")
    await store.lifecycle.end_superseded("retail")
    assert counts_by_state(store) == {"PUBLISHED": 2, "HELD": 2, "REJECTED": 1}


async def test_a_publish_whose_response_was_lost_is_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(store)

    async def lose_response(*args: Any) -> None:
        await in_transaction(*args)
        raise AutoReconnect("The response was lost.")

    monkeypatch.setattr(lifecycle, "in_transaction", lose_response)
    await published(store, [row("a")])
    assert counts_by_state(store) == {"PUBLISHED": 1}


async def test_a_refused_restore_is_not_counted(store: Store) -> None:
    await versions(store, 1)
    with pytest.raises(NotRetired):
        await store.expirer.restore("retail", 1, by="ops", reason="why not")
    assert (store.metrics.retired, store.metrics.restored) == ({}, {})


async def test_held_batches_and_kept_versions_are_counted_by_list(store: Store) -> None:
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
    await store.client.drop_database(store.layers_db.name)
    await store.close()


async def test_connections_are_counted_by_server_up_to_the_limit_of_the_pool(metered: Store) -> None:
    await asyncio.gather(*(metered.ping() for _ in range(10)))
    host, port = await metered.client.primary or ("", 0)
    pool = metered.metrics.driver.pools[f"{host}:{port}"]
    assert (pool.limit, pool.open, pool.in_use) == (2, 2, 0)
    assert sum(pool.checkouts.counts) >= 10
    assert pool.failures == 0


async def test_commands_and_failed_commands_are_counted_by_name(metered: Store) -> None:
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
