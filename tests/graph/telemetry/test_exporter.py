"""The export of metrics, and the metrics of lists, batches and retention."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from graph.telemetry.batch_metrics import BatchMetrics
from graph.telemetry.exporter import Exporter
from graph.telemetry.list_labels import OTHER, ListLabels
from graph.telemetry.list_metrics import ListMetrics
from graph.telemetry.process_metrics import ProcessMetrics
from storage import RELEASE_OUTCOMES
from storage.mongodb.connection import connect
from tests.graph.api import PUBLISH, ROLLBACK, Api, open_settings, row, serving
from tests.graph.releases import change, create, send
from tests.graph.telemetry.samples import sample, sample_or_zero
from tests.waiting import until


@asynccontextmanager
async def serving_with_metrics(mongodb_uri: str) -> AsyncIterator[Api]:
    """Yield a client of an application with metrics enabled."""
    database = f"test_{secrets.token_hex(6)}"
    async with serving(open_settings(mongodb_uri=mongodb_uri, mongodb_database=database, metrics_port=0)) as api:
        yield api
    async with await connect(mongodb_uri) as client:
        await client.drop_database(database)
        await client.drop_database(f"{database}_layers")


def new_name() -> str:
    """Return the name of a list for one test: metrics are shared by the whole process."""
    return f"list-{secrets.token_hex(4)}"


async def create_two_versions(api: Api, name: str) -> None:
    await api.create(name)
    await api.publish(name, [row("a")])
    await api.publish(name, [row("a", "2.00")])


async def test_metrics_are_exported_in_the_background(mongodb_uri: str) -> None:
    name = new_name()

    async def is_exported() -> bool:
        return sample_or_zero("pricebook_batches_total", price_list=name, mode="REPLACE", state="PUBLISHED") == 2

    async with serving_with_metrics(mongodb_uri) as api:
        await create_two_versions(api, name)
        await until(is_exported, "exported")
    assert sample("pricebook_current_version", price_list=name) == 2
    assert sample("pricebook_requests_total", operation="mutation publishBatch", code="OK", status="2xx") >= 2
    assert sample("pricebook_mongodb_command_duration_seconds_count", command="insert") >= 2
    assert sample("pricebook_pointer_pushed") == 1
    assert sample("pricebook_workers") == 1


async def test_a_failed_read_of_the_database_is_logged_and_retried(
    mongodb_uri: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.telemetry.exporter.LIST_METRICS_INTERVAL_SECONDS", 0.01)
    calls: list[str] = []

    async def refresh(_: ListMetrics) -> None:
        calls.append("refresh")
        if len(calls) == 1:
            raise OSError("no route")

    async def is_retried() -> bool:
        return len(calls) > 1

    monkeypatch.setattr(ListMetrics, "refresh", refresh)
    async with serving_with_metrics(mongodb_uri):
        await until(is_retried, "retried")
    assert "Could not read metrics from the database: no route" in caplog.text


async def test_a_group_of_metrics_that_fails_does_not_stop_the_others(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: ListMetrics) -> None:
        raise TypeError("Unforeseen.")

    monkeypatch.setattr(ListMetrics, "update", fail)
    name = new_name()
    await create_two_versions(api, name)
    runtime = api.runtime
    Exporter(runtime.store, runtime.pointers, runtime.responses, runtime.requests).update()
    assert sample("pricebook_batches_total", price_list=name, mode="REPLACE", state="PUBLISHED") == 2
    assert "The export of ListMetrics failed." in caplog.text


async def test_the_metrics_of_a_list_follow_its_state(api: Api) -> None:
    name = new_name()
    await create_two_versions(api, name)
    metrics = ListMetrics(api.runtime.store, api.runtime.pointers, ListLabels())

    async def export() -> None:
        metrics.update()
        await metrics.refresh()

    await export()
    newest = await api.runtime.store.snapshots.get(name, 2)
    assert newest is not None
    assert newest.published_at is not None
    assert sample("pricebook_published_timestamp_seconds", price_list=name) == newest.published_at.timestamp()
    assert sample("pricebook_pinned_timestamp_seconds", price_list=name) == 0
    assert sample("pricebook_versions_kept", price_list=name) == 2
    await api.data(ROLLBACK, input={"priceList": name, "toVersion": 1, "reason": "wrong"})
    held = await api.submit(name, [row("b")])
    await export()
    assert sample("pricebook_current_version", price_list=name) == 1
    assert sample("pricebook_pinned_timestamp_seconds", price_list=name) >= newest.published_at.timestamp()
    assert sample("pricebook_published_timestamp_seconds", price_list=name) == newest.published_at.timestamp()
    assert sample("pricebook_batches_held", price_list=name) == 1
    await api.runtime.store.lifecycle.reject(held["batch"]["id"], by="ops", reason="no")
    await export()
    assert sample("pricebook_batches_held", price_list=name) == 0


async def test_the_metrics_of_a_deleted_list_are_zero(api: Api) -> None:
    name = new_name()
    await create_two_versions(api, name)
    metrics = ListMetrics(api.runtime.store, api.runtime.pointers, ListLabels())
    metrics.update()
    await metrics.refresh()
    deleted = await api.runtime.store.deleter.delete(name, by="ops", reason="x", force=True)
    await api.runtime.pointers.switch_to({deleted.name: deleted.revision})
    metrics.update()
    for gauge in ("current_version", "published_timestamp_seconds", "pinned_timestamp_seconds", "versions_kept"):
        assert sample(f"pricebook_{gauge}", price_list=name) == 0


async def test_a_list_starts_with_zeros_so_that_its_first_failure_is_an_increase(api: Api) -> None:
    name = new_name()
    await api.create(name)
    BatchMetrics(api.runtime.store.metrics, api.runtime.pointers, ListLabels()).update()
    for mode in ("REPLACE", "MERGE"):
        for state in ("PUBLISHED", "HELD", "REJECTED", "ABORTED", "FAILED"):
            assert sample("pricebook_batches_total", price_list=name, mode=mode, state=state) == 0
    assert sample("pricebook_versions_retired_total", price_list=name) == 0


async def test_the_metrics_of_releases_start_with_zeros_and_count_each_outcome(api: Api) -> None:
    counted, metrics = (
        api.runtime.store.metrics,
        BatchMetrics(api.runtime.store.metrics, api.runtime.pointers, ListLabels()),
    )
    metrics.update()
    before = {outcome: sample("pricebook_releases_total", outcome=outcome) for outcome in RELEASE_OUTCOMES}
    seconds = sample("pricebook_release_publish_seconds_count")
    name = new_name()
    await api.create(name)
    published, discarded = await create(api), await create(api)
    await send(api, name, published)
    await change(api, "publishRelease", release=published)
    await change(api, "discardRelease", release=discarded, reason="x")
    metrics.update()
    after = {outcome: sample("pricebook_releases_total", outcome=outcome) for outcome in RELEASE_OUTCOMES}
    assert after == {**before, "published": before["published"] + 1, "discarded": before["discarded"] + 1}
    assert sample("pricebook_release_publish_seconds_count") == seconds + sum(counted.release_seconds.counts)


async def test_lists_beyond_the_limit_share_a_label(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.telemetry.list_labels.MAX_LABELS", 1)
    first, *others = sorted(new_name() for _ in range(3))
    await api.create(first, *others)
    labels = ListLabels()
    assert labels.has_own(first)
    for name in others:
        await api.data(PUBLISH, input={**ORDER, "priceList": name, "prices": [row("a")]})
    before = sample_or_zero("pricebook_batch_rows_total", price_list=OTHER, mode="REPLACE")
    BatchMetrics(api.runtime.store.metrics, api.runtime.pointers, labels).update()
    assert sample("pricebook_batch_rows_total", price_list=OTHER, mode="REPLACE") == before + 2
    metrics = ListMetrics(api.runtime.store, api.runtime.pointers, labels)
    metrics.update()
    await metrics.refresh()
    assert sample("pricebook_versions_kept", price_list=OTHER) == 2
    assert sample_or_zero("pricebook_current_version", price_list=OTHER) == 0


ORDER = {"mode": "REPLACE", "idempotencyKey": "1"}


def test_a_process_exports_its_memory() -> None:
    ProcessMetrics().update()
    assert sample("pricebook_workers") == 1
    assert 10 << 20 < sample("pricebook_resident_memory_bytes") < 64 << 30
