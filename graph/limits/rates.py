"""Requests a second: each caller has a bucket of tokens that fills at a rate (RFC 2697 has such buckets as meters).

Each process counts for itself: a caller of N processes may send N times as much. What is shared by all belongs into the
load balancer, which sees every request.
"""

import time
from collections.abc import Callable

from graph.limits.limits import OverLimit
from loaders import LRU

BURST_SECONDS = 2.0
"""A caller that was quiet may send so many seconds' requests at once."""

MAX_CALLERS = 10_000
"""Callers that are remembered; one that was forgotten begins with a full bucket."""


CODE = "RATE_LIMITED"
MESSAGE = "You have sent more requests than PRICEBOOK_MAX_RATE allows. Send them more slowly."


class _Bucket:
    """The tokens that a bucket held at `updated_at`, by the clock."""

    __slots__ = ("level", "updated_at")

    def __init__(self, level: float, updated_at: float) -> None:
        self.level = level
        self.updated_at = updated_at


class Rates:
    """The buckets of a process. `rate` is in requests a second for each caller; 0 lets everything through."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._room = max(rate * BURST_SECONDS, 1.0)
        self._clock = clock
        self._buckets: LRU[str, _Bucket] = LRU(MAX_CALLERS)

    @property
    def are_counted(self) -> bool:
        """Whether there is a limit at all."""
        return self._rate > 0

    def check(self, caller: str) -> None:
        """Take a token from a caller's bucket. Raises `OverLimit` where there is none."""
        if self.wait(caller):
            raise OverLimit(CODE, MESSAGE, status=429)

    def wait(self, caller: str) -> float:
        """Take a token from a caller's bucket; return 0, or after how many seconds there will be one."""
        if not self._rate:
            return 0.0
        now = self._clock()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = _Bucket(self._room, now)
            self._buckets.put(caller, bucket)
        level = min(self._room, bucket.level + (now - bucket.updated_at) * self._rate)
        taken = level >= 1.0
        bucket.level, bucket.updated_at = level - 1.0 if taken else level, now
        return 0.0 if taken else (1.0 - level) / self._rate
