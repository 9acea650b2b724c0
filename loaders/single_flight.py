"""Concurrent calls for one key share one execution."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Runs at most one coroutine for each key at a time.

    Cancelling a caller does not cancel the coroutine. Neither results nor errors are kept: the next call after the
    coroutine has finished starts a new one.
    """

    __slots__ = ("_name", "_tasks")

    def __init__(self, name: str) -> None:
        """`name` is the name of the tasks."""
        self._name = name
        self._tasks: dict[K, asyncio.Task[V]] = {}

    async def run(self, key: K, start: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the result of the running coroutine of a key; `start` creates one if none is running."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(start(), name=self._name)
            task.add_done_callback(partial(self._remove, key))
        return await asyncio.shield(task)

    def _remove(self, key: K, task: asyncio.Task[V]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # marks it as retrieved if every caller was cancelled
