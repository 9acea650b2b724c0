"""The time limit of a query. One that is answered from memory never waits, and needs no timer."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

from graph.limits.limits import Limits

T = TypeVar("T")


async def within(limits: Limits, query: Coroutine[Any, Any, T]) -> T:
    """Return what a query is answered with. Raises `OverLimit` where that takes too long, and ends it."""
    try:
        awaited = query.send(None)
    except StopIteration as answered:
        answer: T = answered.value
        return answer
    try:
        async with asyncio.timeout(limits.seconds) as time:
            return await _Begun(query, awaited)
    except TimeoutError as error:
        if not time.expired():
            raise
        raise limits.timeout() from error


class _Begun(Generic[T]):
    """A coroutine that has begun, and now awaits something: it can be awaited as if it had not."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, T]:
        """Hand on what the coroutine awaits, and give it what comes of that."""
        awaited = self._awaited
        try:
            while True:
                try:
                    sent = yield awaited
                except GeneratorExit:
                    self._coroutine.close()
                    raise
                except BaseException as error:  # the coroutine's own, cancellation too
                    awaited = self._coroutine.throw(error)
                else:
                    awaited = self._coroutine.send(sent)
        except StopIteration as answered:
            answer: T = answered.value
            return answer
