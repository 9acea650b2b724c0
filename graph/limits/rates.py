"""Requests a second: each caller has a bucket of tokens that fills at a rate (RFC 2697 has such buckets as meters).

Each process counts for itself: a caller of N processes may send N times as much. What is shared by all belongs into the
load balancer, which sees every request.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from graph.limits.limits import OverLimit

BURST_SECONDS = 2.0
"""A caller that was quiet may send so many seconds' requests at once."""

MAX_CALLERS = 10_000
"""Callers that are remembered; one that was forgotten begins with a full bucket."""


CODE = "RATE_LIMITED"
MESSAGE = "You have sent more requests than PRICEBOOK_MAX_RATE allows. Send them more slowly."


class Rates:
    """The buckets of a process. `rate` is in requests a second for each caller; 0 lets everything through."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._room = max(rate * BURST_SECONDS, 1.0)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

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
        level, at = self._buckets.get(caller, (self._room, now))
        level = min(self._room, level + (now - at) * self._rate)
        taken = level >= 1.0
        self._buckets[caller] = (level - 1.0 if taken else level, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1.0 - level) / self._rate
