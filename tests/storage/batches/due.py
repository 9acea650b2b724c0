"""Batches that are due: sent, published, and held for review."""

import datetime
from datetime import timedelta
from typing import Any

import msgspec

from storage import Batch, BatchState, EventKind, Gates, Store
from storage.catalog.events import Event
from storage.catalog.gates import Severity
from storage.mongodb.server_time import server_time
from tests.storage.factories import Row, row, submit

MINUTE = timedelta(minutes=1)


async def at(store: Store, minutes: float) -> datetime.datetime:
    """An instant some minutes ago, or ahead."""
    return await server_time(store.client) + minutes * MINUTE


async def scheduled(store: Store, minutes: float, prices: list[Row] | None = None, **more: Any) -> Batch:
    """A scheduled batch that is due, or not yet."""
    batch = await submit(store, prices or [row("a", "9")], publish_at=await at(store, minutes), **more)
    assert batch.is_scheduled, batch
    return batch


async def publish_due(store: Store, price_list: str = "retail") -> list[Batch]:
    """Publish, or hold, all batches that are due."""
    done = []
    while change := await store.due_publisher.publish_first_due(price_list):
        done.append(change.batch)
    return done


async def next_change(store: Store) -> datetime.datetime | None:
    return (await store.price_lists.get("retail")).next_change_at


async def set_gates(store: Store, gates: Gates) -> None:
    await store.price_list_editor.update("retail", "ops", lambda found: msgspec.structs.replace(found, gates=gates))


async def newest_event(store: Store) -> Event:
    [event] = await store.events.newest("retail", 1)
    return event


def holds(batch: Batch) -> list[str]:
    return [finding.gate for finding in batch.findings if finding.severity is Severity.HOLD]


async def assert_held_for_review(store: Store, batch: Batch, *gates: str, by_pin: bool = False) -> None:
    """The batch lost its schedule, with findings and an event that say why."""
    assert (batch.state, batch.publish_at, batch.held_by_pin) == (BatchState.HELD, None, by_pin)
    assert holds(batch) == list(gates)
    assert (batch.findings[-1].gate, batch.findings[-1].severity) == ("schedule", Severity.INFO)
    assert "It was due at 20" in batch.findings[-1].message
    event = await newest_event(store)
    assert (event.kind, event.batch, event.moved) == (EventKind.HELD, batch.id, False)
    assert event.reason is not None
    expected = [finding.message for finding in batch.findings if finding.gate in {*gates, "schedule"}]
    assert all(message in event.reason for message in expected)
    assert await next_change(store) is None
    assert await publish_due(store) == []
