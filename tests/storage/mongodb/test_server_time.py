"""The time of the primary, and up to when a majority of the members has all writes."""

import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from storage import Store
from storage.mongodb.connection import Client
from storage.mongodb.server_time import server_time, server_times
from tests.storage.factories import create

NOW = datetime.datetime(2026, 11, 27, 12)


async def test_the_times_of_a_server(store: Store) -> None:
    await create(store)
    before = await server_time(store.client)
    times = await server_times(store.client)
    assert before <= times.now
    assert times.majority <= times.now
    assert times.now - times.majority < datetime.timedelta(seconds=20)


@pytest.mark.parametrize(
    ("last_write", "lag"),
    [({"lastWrite": {"majorityWriteDate": NOW - datetime.timedelta(minutes=5)}}, 5), ({}, 0), ({"lastWrite": {}}, 0)],
    ids=["lagging", "mongos", "nothing written"],
)
async def test_a_majority_that_lags_is_told(last_write: dict[str, Any], lag: int) -> None:
    async def command(_: str) -> dict[str, Any]:
        return {"localTime": NOW, **last_write}

    client = cast("Client", SimpleNamespace(admin=SimpleNamespace(command=command)))
    times = await server_times(client)
    assert times.now == NOW.replace(tzinfo=datetime.UTC)
    assert times.now - times.majority == datetime.timedelta(minutes=lag)
