"""What a process is and knows is told again and again, and lists, batches and retention are told truly."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from graph.telemetry.batch_metrics import BatchMetrics
from graph.telemetry.list_labels import OTHER, ListLabels
from graph.telemetry.list_metrics import ListMetrics
from graph.telemetry.process_metrics import ProcessMetrics
from storage.mongodb.connection import connect
from tests.graph.api import PUBLISH, ROLLBACK, Api, open_settings, row, serving
from tests.graph.telemetry.samples import sample, sample_or_none
from tests.waiting import until


@asynccontextmanager
async def telling(mongodb_uri: str) -> AsyncIterator[Api]:
    """A client of an application whose metrics somebody asked for."""
    database = f"test_{secrets.token_hex(6)}"
    async with serving(open_settings(mongodb_uri=mongodb_uri, mongodb_database=database, metrics_port=0)) as api:
        yield api
    async with await connect(mongodb_uri) as client:
        await client.drop_database(database)


def new_name() -> str:
    """A list of the test's own, for the metrics are those of the whole process."""
    return f"list-{secrets.token_hex(4)}"


async def two_versions(api: Api, name: str) -> None:
    await api.create(name)
    await api.publish(name, [row("a")])
    await api.publish(name, [row("a", "2.00")])


async def test_what_happens_is_told_within_a_moment(mongodb_uri: str) -> None:
    name = new_name()

    async def is_told() -> bool:
        return sample_or_none("pricebook_batches_total", price_list=name, mode="REPLACE", state="PUBLISHED") == 2

    async with telling(mongodb_uri) as api:
        await two_versions(api, name)
        await until(is_told, "told")
    assert sample("pricebook_current_version", price_list=name) == 2
    assert sample("pricebook_requests_total", operation="mutation publishBatch", code="OK", status="2xx") >= 2
    assert sample("pricebook_mongodb_command_duration_seconds_count", command="insert") >= 2
    assert sample("pricebook_pointer_pushed") == 1
    assert sample("pricebook_workers") == 1


async def test_a_database_that_cannot_be_looked_at_is_logged_and_looked_at_again(
    mongodb_uri: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.telemetry.exporter.LIST_METRICS_INTERVAL_SECONDS", 0.01)
    looks: list[str] = []

    async def look(_: ListMetrics) -> None:
        looks.append("look")
        if len(looks) == 1:
            raise OSError("no route")

    async def is_looked_at_again() -> bool:
        return len(looks) > 1

    monkeypatch.setattr(ListMetrics, "look", look)
    async with telling(mongodb_uri):
        await until(is_looked_at_again, "looked at again")
    assert "could not be looked at for metrics: no route" in caplog.text


async def test_a_list_is_told_as_it_is(api: Api) -> None:
    name = new_name()
    await two_versions(api, name)
    metrics = ListMetrics(api.runtime.store, api.runtime.pointers, ListLabels())

    async def tell() -> None:
        metrics.tell()
        await metrics.look()

    await tell()
    newest = await api.runtime.store.snapshots.get(name, 2)
    assert newest is not None
    assert newest.published_at is not None
    assert sample("pricebook_published_timestamp_seconds", price_list=name) == newest.published_at.timestamp()
    assert sample("pricebook_pinned_timestamp_seconds", price_list=name) == 0
    assert sample("pricebook_versions_kept", price_list=name) == 2
    await api.data(ROLLBACK, input={"priceList": name, "toVersion": 1, "reason": "wrong"})
    held = await api.submit(name, [row("b")])
    await tell()
    assert sample("pricebook_current_version", price_list=name) == 1
    assert sample("pricebook_pinned_timestamp_seconds", price_list=name) >= newest.published_at.timestamp()
    assert sample("pricebook_published_timestamp_seconds", price_list=name) == newest.published_at.timestamp()
    assert sample("pricebook_batches_held", price_list=name) == 1
    await api.runtime.store.lifecycle.reject(held["batch"]["id"], by="ops", reason="no")
    await tell()
    assert sample("pricebook_batches_held", price_list=name) == 0


async def test_a_list_begins_with_zeros_so_that_its_first_failure_is_an_increase(api: Api) -> None:
    name = new_name()
    await api.create(name)
    BatchMetrics(api.runtime.store.metrics, api.runtime.pointers, ListLabels()).tell()
    for mode in ("REPLACE", "MERGE"):
        for state in ("PUBLISHED", "HELD", "REJECTED", "ABORTED", "FAILED"):
            assert sample("pricebook_batches_total", price_list=name, mode=mode, state=state) == 0
    assert sample("pricebook_versions_retired_total", price_list=name) == 0


async def test_lists_beyond_the_most_are_told_together(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.telemetry.list_labels.MAX_LABELS", 1)
    own, *others = sorted(new_name() for _ in range(3))
    await api.create(own, *others)
    labels = ListLabels()
    assert labels.own(own)
    for name in others:
        await api.data(PUBLISH, input={**ORDER, "priceList": name, "prices": [row("a")]})
    before = sample_or_none("pricebook_batch_rows_total", price_list=OTHER, mode="REPLACE")
    BatchMetrics(api.runtime.store.metrics, api.runtime.pointers, labels).tell()
    assert sample("pricebook_batch_rows_total", price_list=OTHER, mode="REPLACE") == before + 2
    metrics = ListMetrics(api.runtime.store, api.runtime.pointers, labels)
    metrics.tell()
    await metrics.look()
    assert sample("pricebook_versions_kept", price_list=OTHER) == 2
    assert sample_or_none("pricebook_current_version", price_list=OTHER) == 0


ORDER = {"mode": "REPLACE", "idempotencyKey": "1"}


def test_a_process_tells_its_release_and_its_memory() -> None:
    ProcessMetrics().tell()
    assert sample("pricebook_workers") == 1
    assert 10 << 20 < sample("pricebook_resident_memory_bytes") < 64 << 30
