"""A process that stalls for longer than its lease and comes back after a takeover changes nothing."""

import asyncio
from operator import attrgetter
from typing import Any
from unittest.mock import patch

import pytest

from storage import BatchState, EventKind, Store
from storage.mongodb import leases
from tests.storage.factories import (
    Row,
    amounts,
    current,
    expire_leases,
    layer_ids,
    layers,
    prices_of,
    published,
    row,
    rows,
    submit,
    versions,
)


class Stall:
    """Stalls the calls of a method, before they are made, until the test resumes them."""

    def __init__(self, owner: object, method: str) -> None:
        self.reached = asyncio.Event()
        self._resumed = asyncio.Event()
        self._original = getattr(owner, method)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.reached.set()
        await self._resumed.wait()
        return await self._original(*args, **kwargs)

    def resume(self) -> None:
        self._resumed.set()


@pytest.fixture(autouse=True)
def no_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a stalled process from renewing its lease."""
    monkeypatch.setattr(leases, "RENEW_INTERVAL_SECONDS", 3600)


GOOD = rows(2500, "2.00")
BAD = [*GOOD, row("bad", "-1")]


@pytest.mark.parametrize(
    ("path", "method", "prices", "state"),
    [
        ("layer_writer", "create", GOOD, BatchState.PUBLISHED),
        ("layer_writer", "write", GOOD, BatchState.PUBLISHED),
        ("batches", "advance", GOOD, BatchState.PUBLISHED),
        ("layer_writer", "freeze", GOOD, BatchState.PUBLISHED),
        ("lifecycle", "_publish", GOOD, BatchState.PUBLISHED),
        ("lifecycle", "_end", BAD, BatchState.FAILED),
    ],
)
async def test_a_process_that_comes_back_returns_the_batch_as_the_takeover_finished_it(
    store: Store, other_store: Store, path: str, method: str, prices: list[Row], state: BatchState
) -> None:
    await versions(store, 1)
    owner = attrgetter(path)(store)
    stall = Stall(owner, method)
    with patch.object(owner, method, stall):
        stalled = asyncio.create_task(submit(store, prices, key="monday"))
        await stall.reached.wait()
        await expire_leases(store)
        finished = await submit(other_store, prices, key="monday")
        later = await published(other_store, [row("b", "3")])
        stall.resume()
        assert await stalled == finished
    assert (finished.state, await current(store)) == (state, later.version)
    assert await store.batches.get(finished.id) == finished
    kinds = [event.kind for event in await store.events.newest("retail", 10)]
    kind = EventKind.PUBLISHED if state is BatchState.PUBLISHED else EventKind.FAILED
    assert kinds == [EventKind.PUBLISHED, kind, EventKind.PUBLISHED, EventKind.CREATED]
    if finished.version:
        assert await amounts(store, finished.version) == {each["sku"]: "2.00" for each in GOOD}
        assert len(await prices_of(store, finished.version)) == 2500
        assert layer_ids([finished]) <= await layers(store)
