"""The CPU time that each caller may use for new documents, which are parsed, validated and planned.

The limit on tokens bounds a single document, but its validation can take a hundred times as long as its execution, and
a caller can make every document a new one.
"""

import time
from collections.abc import Callable

from graph.limits.limits import OverLimit
from graph.limits.rates import MAX_CALLERS
from loaders import LRU

CPU_SHARE = 0.2
"""CPU seconds per second that a caller may use on average."""

CPU_BURST_SECONDS = 2.0
"""CPU seconds that a caller may use at once after a pause: hundreds of ordinary documents, as after a deployment."""


class CpuBudget:
    """The remaining CPU time of each caller. It may become negative, because a cost is known only afterwards."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts: LRU[str, tuple[float, float]] = LRU(MAX_CALLERS)

    def check(self, caller: str) -> None:
        """Raise `OverLimit` if the caller has no CPU time left."""
        if self._balance(caller) <= 0:
            message = (
                "You have sent too many documents that this server did not know. Send values as variables, so that "
                "documents repeat, or send new ones more slowly."
            )
            raise OverLimit("RATE_LIMITED", message, status=429)

    def spend(self, caller: str, seconds: float) -> None:
        """Subtract CPU time that was used for the caller."""
        self._accounts.put(caller, (self._balance(caller) - seconds, self._clock()))

    def _balance(self, caller: str) -> float:
        account = self._accounts.get(caller)
        if account is None:
            return CPU_BURST_SECONDS
        balance, updated_at = account
        return min(CPU_BURST_SECONDS, balance + (self._clock() - updated_at) * CPU_SHARE)
