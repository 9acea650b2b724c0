"""Several waiters for one key: the cancellation of one does not cancel the others, and an error does not grow."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loaders import Loaders
from loaders.dataloaders import Loader
from storage import Snapshot
from tests.graph.api import Api, row

Load = Callable[[Loaders, Snapshot], Awaitable[Any]]

LOADS: dict[str, Load] = {
    "batch": lambda loaders, snapshot: loaders.batches.load(snapshot.batch),
    "part numbers": lambda loaders, snapshot: loaders.part_numbers.load(snapshot.batch),
    "served": lambda loaders, snapshot: loaders.served.load((snapshot.price_list, 1)),
    "snapshot": lambda loaders, snapshot: loaders.snapshots.load((snapshot.price_list, snapshot.version)),
    "history": lambda loaders, snapshot: loaders.histories.load((snapshot.price_list, snapshot.version, "a", 1)),
    "price": lambda loaders, snapshot: loaders.prices.load(snapshot, "a"),
    "pointer": lambda loaders, snapshot: loaders.view.find(snapshot.price_list),
}


@pytest.mark.parametrize("kind", LOADS)
async def test_a_cancelled_waiter_does_not_cancel_the_others(counted_api: Api, kind: str) -> None:
    store, pointers = counted_api.runtime.store, counted_api.runtime.pointers
    await counted_api.create("retail")
    await counted_api.publish("retail", [row("a", "1.50")])
    [snapshot] = await store.snapshots.newest("retail", 1)
    loaders = Loaders(store, pointers)
    await pointers.stop()  # so that pointers are read from the database

    async def load() -> Any:
        return await LOADS[kind](loaders, snapshot)

    waiters = [asyncio.create_task(load()) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[1].cancel()
    first, second, third = await asyncio.gather(*waiters, return_exceptions=True)
    assert isinstance(second, asyncio.CancelledError)
    assert first == third
    assert not isinstance(first, BaseException)
    assert first is not None


async def test_the_traceback_of_an_error_does_not_grow_with_each_wait_for_its_key() -> None:
    async def load(_: list[str]) -> list[str]:
        raise ValueError("x")

    loader, lengths = Loader(load), list[int]()
    for _ in range(50):
        try:
            await loader.load("a")
        except ValueError as error:
            lengths.append(len(traceback.extract_tb(error.__traceback__)))
    assert len(lengths) == 50
    assert max(lengths) == lengths[0]
