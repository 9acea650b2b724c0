"""The delay queue of a maintenance task: which lists it must check, and from when on."""

import asyncio
import heapq
from contextlib import suppress
from dataclasses import dataclass

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 5.0, 300.0
"""How long a list is left alone after an error, and after many. The time doubles with each."""

MIN_STALE_ENTRIES = 64
"""Number of entries that became due earlier, beyond those of as many lists as are due, before they are removed."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """The number of errors of a list in a row, and the time before which it is left alone."""

    count: int
    until: float


class DelayQueue:
    """Names of lists, each with the time of the event loop from which it is due.

    `retry_seconds` are how long a list is left alone after an error, and after many; by default
    `FIRST_RETRY_SECONDS` and `MAX_RETRY_SECONDS`.
    """

    def __init__(self, retry_seconds: tuple[float, float] | None = None) -> None:
        self._retry_seconds = retry_seconds
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._failures: dict[str, _Failure] = {}
        self._sooner = asyncio.Event()

    def add(self, name: str, delay: float = 0.0) -> None:
        """Let a list be due after `delay` seconds, unless it is due earlier; later if an error delays it.

        Of the lists that are due, the one that was due first is taken first: a negative delay is how long ago that was.
        """
        failure, at = self._failures.get(name), asyncio.get_running_loop().time() + delay
        if failure:
            at = max(at, failure.until)
        if at < self._due.get(name, float("inf")):
            self._due[name] = at
            heapq.heappush(self._heap, (at, name))
            if len(self._heap) > 2 * len(self._due) + MIN_STALE_ENTRIES:  # most of them for later times of these lists
                self._heap = [(due, each) for each, due in self._due.items()]
                heapq.heapify(self._heap)
            self._sooner.set()

    def retry(self, name: str) -> None:
        """Let a list be due again after an error: the later, the more errors there were in a row."""
        failure, now = self._failures.get(name), asyncio.get_running_loop().time()
        count = failure.count + 1 if failure else 1
        first, longest = self._retry_seconds or (FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)
        delay = min(first * 2 ** (count - 1), longest)
        self._failures[name] = _Failure(count, now + delay)
        self._due.pop(name, None)
        self.add(name)

    def forget_errors(self, name: str) -> None:
        """Forget the errors of a list."""
        self._failures.pop(name, None)

    async def take(self, limit: int) -> list[str]:
        """Wait until lists are due; remove and return up to `limit` of them, the earliest first."""
        while not (names := self._take_due(limit)):
            self._sooner.clear()
            wait = self._heap[0][0] - asyncio.get_running_loop().time() if self._heap else None
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._sooner.wait()
        return names

    def _take_due(self, limit: int) -> list[str]:
        now, names = asyncio.get_running_loop().time(), list[str]()
        while self._heap and self._heap[0][0] <= now and len(names) < limit:
            at, name = heapq.heappop(self._heap)
            if self._due.get(name) == at:  # otherwise it became due earlier, and was taken then
                del self._due[name]
                names.append(name)
        return names
