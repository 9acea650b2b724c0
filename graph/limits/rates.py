"""Rate limits: each caller has a token bucket (as in RFC 2697).

Each process has its own buckets, so a caller of N processes may send N times as many requests. A limit across processes
belongs in the load balancer, which sees all requests.
"""

import time
from collections.abc import Callable

from graph.limits.limits import OverLimit
from loaders import LRU

BURST_SECONDS = 2.0
"""Size of a bucket, in seconds of the rate: the burst that a caller may send after a pause."""

MAX_CALLERS = 10_000
"""Number of callers with a stored bucket. An evicted caller starts with a full bucket."""


def rate_limited() -> OverLimit:
    """Return the error of a caller that exceeds the rate."""
    message = "You have sent more requests than PRICEBOOK_MAX_RATE allows. Send them more slowly."
    return OverLimit("RATE_LIMITED", message, status=429)


class _Bucket:
    """The tokens that a bucket held at `updated_at`, by the clock."""

    __slots__ = ("level", "updated_at")

    def __init__(self, level: float, updated_at: float) -> None:
        self.level = level
        self.updated_at = updated_at


class RateLimiter:
    """The rate limiter of a process. `rate` is in requests per second for each caller; 0 means no limit."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._capacity = max(rate * BURST_SECONDS, 1.0)
        self._clock = clock
        self._buckets: LRU[str, _Bucket] = LRU(MAX_CALLERS)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self._rate > 0

    def take_token(self, caller: str) -> float:
        """Take a token from a caller's bucket and return 0. If it is empty, return the seconds until the next token."""
        if not self._rate:
            return 0.0
        now = self._clock()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = _Bucket(self._capacity, now)
            self._buckets.put(caller, bucket)
        level = min(self._capacity, bucket.level + (now - bucket.updated_at) * self._rate)
        taken = level >= 1.0
        bucket.level, bucket.updated_at = level - 1.0 if taken else level, now
        return 0.0 if taken else (1.0 - level) / self._rate
