"""Rate limits: each caller has a token bucket (as in RFC 2697).

Each process has its own buckets, so a caller of N processes may send N times as many requests. A limit across processes
belongs in the load balancer, which sees all requests.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from graph.limits.limits import OverLimit

BURST_SECONDS = 2.0
"""Size of a bucket, in seconds of the rate: the burst that a caller may send after a pause."""

MAX_CALLERS = 10_000
"""Number of callers with a stored bucket. An evicted caller starts with a full bucket."""

CODE = "RATE_LIMITED"
MESSAGE = "You have sent more requests than PRICEBOOK_MAX_RATE allows. Send them more slowly."


class Rates:
    """The buckets of a process. `rate` is in requests per second for each caller; 0 means no limit."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._room = max(rate * BURST_SECONDS, 1.0)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def are_counted(self) -> bool:
        """Whether there is a limit."""
        return self._rate > 0

    def check(self, caller: str) -> None:
        """Take a token from a caller's bucket. Raises `OverLimit` if it is empty."""
        if self.wait(caller):
            raise OverLimit(CODE, MESSAGE, status=429)

    def wait(self, caller: str) -> float:
        """Take a token from a caller's bucket and return 0. If it is empty, return the seconds until the next token."""
        if not self._rate:
            return 0.0
        now = self._clock()
        level, at = self._buckets.get(caller, (self._room, now))
        level = min(self._room, level + (now - at) * self._rate)
        taken = level >= 1.0
        self._buckets[caller] = (level - 1.0 if taken else level, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1.0 - level) / self._rate
