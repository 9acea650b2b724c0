"""The timeout of queries. A query that is served from memory never suspends, and needs no timer."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

from graph.limits.limits import Limits

T = TypeVar("T")


async def run_with_timeout(limits: Limits, query: Coroutine[Any, Any, T]) -> T:
    """Run a query and return its result. Cancels it and raises `OverLimit` if it times out."""
    try:
        awaited = query.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    try:
        async with asyncio.timeout(limits.seconds) as timeout:
            return await _Started(query, awaited)
    except TimeoutError as error:
        if not timeout.expired():
            raise
        raise limits.timeout() from error


class _Started(Generic[T]):
    """Makes a started coroutine awaitable. `awaited` is what it has yielded."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, T]:
        """Yield what the coroutine awaits, and send it the results."""
        awaited = self._awaited
        try:
            while True:
                try:
                    sent = yield awaited
                except GeneratorExit:
                    self._coroutine.close()
                    raise
                except BaseException as error:  # belongs to the coroutine, as does cancellation
                    awaited = self._coroutine.throw(error)
                else:
                    awaited = self._coroutine.send(sent)
        except StopIteration as stop:
            result: T = stop.value
            return result
