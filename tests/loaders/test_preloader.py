"""Scheduled versions are in memory before they are due, so that the switch reads no layer."""

import asyncio
import datetime
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import msgspec
import pytest

from loaders import Preloader, preloader
from storage import Batch, BatchMode, BatchOrder, BatchState, JsonRows, Store
from storage.errors import Unavailable
from storage.mongodb.transaction import instant
from tests.graph.api import Api, row
from tests.loaders.cache.test_warmer import POINT, SKUS, amounts, serves
from tests.loaders.conftest import RoundTrips
from tests.loaders.publishing import is_in_memory, replace, whole
from tests.waiting import until


async def schedule(
    store: Store, seconds: float, prices: Mapping[str, str], price_list: str = "retail", **more: BatchMode
) -> Batch:
    """Schedule a batch of {sku: amount}, which replaces the list unless `mode` is given."""
    publish_at = instant() + datetime.timedelta(seconds=seconds)
    mode = more.get("mode", BatchMode.REPLACE)
    order = BatchOrder(price_list, mode, secrets.token_hex(8), "integrator", publish_at=publish_at)
    rows = await JsonRows.read(msgspec.json.encode([row(sku, amount) for sku, amount in prices.items()]))
    batch = await store.submitter.submit(order, rows, [])
    assert batch.state is BatchState.HELD, batch
    return batch


@pytest.fixture
async def api(cached_api: Api, store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """A list `retail` whose version 1 is in memory as a whole, in a process that preloads."""
    monkeypatch.setattr(preloader, "MIN_INTERVAL_SECONDS", 0.01)
    await cached_api.create("retail", "unread")
    await replace(store, "retail", dict.fromkeys(SKUS, "1.00"))
    await replace(store, "unread", dict.fromkeys(SKUS, "1.00"))
    await until(lambda: serves(cached_api, 1), "switched")
    await cached_api.data(POINT, sku=SKUS[0])
    await whole(cached_api)
    running = Preloader(cached_api.runtime.store, cached_api.runtime.pointers)
    running.start()
    yield cached_api
    await running.stop()


async def is_preloaded(api: Api, batch: Batch) -> bool:
    assert batch.layer is not None
    layer = api.runtime.store.block_cache._layers.get(batch.layer.id)
    return layer is not None and all(layer.blocks)


async def publish(api: Api, store: Store, batch: Batch) -> None:
    """Publish a scheduled batch, and wait until the process serves it."""
    published = await store.lifecycle.approve(batch.id, by="ops", reason="x")
    assert published.version is not None
    version = published.version
    await until(lambda: serves(api, version), "switched")


@pytest.mark.parametrize("mode", BatchMode)
async def test_the_switch_to_a_preloaded_version_reads_no_layer(
    api: Api, store: Store, round_trips: RoundTrips, mode: BatchMode
) -> None:
    batch = await schedule(store, 30, dict.fromkeys(SKUS[100:], "2.00"), mode=mode)
    await until(lambda: is_preloaded(api, batch), "preloaded")
    with round_trips.counted() as sent:
        await publish(api, store, batch)
        assert await amounts(api, SKUS[98:1000]) == [
            *([None] * 2 if mode == "REPLACE" else ["1.00"] * 2),
            *["2.00"] * 900,
        ]
    assert {collection for _, collection, _ in sent} == {"snapshots"}
    assert is_in_memory(api.runtime.pointers.versions.current("retail"))


async def test_a_version_that_is_rebased_meanwhile_reads_only_the_layer_of_the_other(
    api: Api, store: Store, round_trips: RoundTrips
) -> None:
    batch = await schedule(store, 30, {SKUS[0]: "2.00"}, mode=BatchMode.MERGE)
    await until(lambda: is_preloaded(api, batch), "preloaded")
    await replace(store, "retail", dict.fromkeys(SKUS, "3.00"))
    await until(lambda: serves(api, 3), "switched")
    with round_trips.counted() as sent:
        await publish(api, store, batch)
    assert "layer" not in {collection for _, collection, _ in sent}
    assert await amounts(api, SKUS[:2]) == ["2.00", "3.00"]


async def test_one_that_is_due_later_is_not_preloaded_until_a_minute_before(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await schedule(store, 300, {SKUS[0]: "2.00"})
    near = await schedule(store, 50, {SKUS[0]: "3.00"})
    await until(lambda: is_preloaded(api, near), "preloaded")
    assert not await is_preloaded(api, batch)
    monkeypatch.setattr(preloader, "PRELOAD_SECONDS", 400.0)
    await schedule(store, 350, {SKUS[0]: "4.00"})  # wakes it
    await until(lambda: is_preloaded(api, batch), "preloaded")


async def test_a_list_that_nobody_reads_is_not_preloaded(api: Api, store: Store) -> None:
    unread = await schedule(store, 10, dict.fromkeys(SKUS, "2.00"), "unread")
    read = await schedule(store, 20, {SKUS[0]: "2.00"})
    await until(lambda: is_preloaded(api, read), "preloaded")
    assert unread.layer is not None
    assert api.runtime.store.block_cache._layers.get(unread.layer.id) is None


async def test_nothing_is_asked_while_nothing_is_scheduled(api: Api, store: Store, round_trips: RoundTrips) -> None:
    with round_trips.counted() as sent:
        await replace(store, "retail", dict.fromkeys(SKUS, "2.00"))
        await until(lambda: serves(api, 2), "switched")
    assert {collection for _, collection, _ in sent} == {"snapshots", "layer"}


async def test_a_rejected_batch_is_released_after_a_while(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await schedule(store, 30, dict.fromkeys(SKUS, "2.00"))
    await until(lambda: is_preloaded(api, batch), "preloaded")
    await store.lifecycle.reject(batch.id, by="ops", reason="x")
    monkeypatch.setattr(preloader, "RELEASE_SECONDS", 0.05)
    await replace(store, "retail", dict.fromkeys(SKUS, "3.00"))  # wakes it

    async def is_released() -> bool:
        assert batch.layer is not None
        return api.runtime.store.block_cache._layers.get(batch.layer.id) is None

    await until(is_released, "released")
    assert await amounts(api, SKUS[:1]) in (["1.00"], ["3.00"])


async def test_a_published_version_is_not_released(api: Api, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = await schedule(store, 30, dict.fromkeys(SKUS, "2.00"))
    await until(lambda: is_preloaded(api, batch), "preloaded")
    await publish(api, store, batch)
    monkeypatch.setattr(preloader, "RELEASE_SECONDS", 0.05)
    other = await schedule(store, 30, {SKUS[0]: "3.00"})  # wakes it
    await until(lambda: is_preloaded(api, other), "preloaded")
    assert await is_preloaded(api, batch)


async def test_a_preload_that_failed_is_repeated(
    api: Api, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preloader, "RETRY_SECONDS", 0.01)
    batches, failures = api.runtime.store.batches, iter([Unavailable("down")])
    look_up = batches.due_before

    async def failing(*arguments: object) -> list[Batch]:
        for failure in failures:
            raise failure
        return await look_up(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "due_before", failing)
    batch = await schedule(store, 30, {SKUS[0]: "2.00"})
    await until(lambda: is_preloaded(api, batch), "preloaded")
    assert "Preloading scheduled versions failed: down" in caplog.text


async def test_it_stops_although_the_driver_swallows_the_cancellation(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, asked = api.runtime.pointers.clock, asyncio.Event()

    async def swallowing() -> None:
        asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    monkeypatch.setattr(clock, "sample", swallowing)
    other = Preloader(api.runtime.store, api.runtime.pointers)
    monkeypatch.setattr(other, "_seconds_to_wait", lambda: 0.0)
    other.start()
    await asked.wait()
    ended, late = await asyncio.wait({asyncio.create_task(other.stop())}, timeout=3)
    assert (len(ended), late) == (1, set())
