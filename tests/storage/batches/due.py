"""Batches that are due: sent as if their instants had not passed by then, and published."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from storage import Batch, Store
from storage.batches import admission, scheduling
from storage.mongodb.server_time import server_time
from tests.storage.factories import Row, row, submit

MINUTE = timedelta(minutes=1)


@contextmanager
def past_accepted() -> Iterator[None]:
    """Accept instants that have passed, as if the batches had been sent before."""
    with patch.object(admission, "check_publish_at"), patch.object(scheduling, "check_publish_at"):
        yield


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
    while change := await store.scheduling.publish_first_due(price_list):
        done.append(change.batch)
    return done


async def next_change(store: Store) -> datetime.datetime | None:
    return (await store.price_lists.get("retail")).next_change_at
