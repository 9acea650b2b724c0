"""The limit of concurrent subscriptions, over server-sent events and WebSockets."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from graph.limits.limits import OverLimit

DEFAULT_MAX_SUBSCRIPTIONS = 1000
"""Default limit of the subscriptions of a process."""

MAX_SUBSCRIPTIONS_PER_CALLER = 100
"""Limit of the subscriptions of one caller in a process, so that no caller can use all."""


class Subscriptions:
    """Counts the active subscriptions of this process."""

    def __init__(
        self, limit: int = DEFAULT_MAX_SUBSCRIPTIONS, limit_per_caller: int = MAX_SUBSCRIPTIONS_PER_CALLER
    ) -> None:
        self._limit = limit
        self._limit_per_caller = limit_per_caller
        self._active: Counter[str] = Counter()

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Count a subscription of a caller while the context is open. Raises `OverLimit`."""
        total = self._active.total()
        if total >= self._limit:
            raise _too_many(f"This process has {total} subscriptions; the limit is {self._limit}.")
        own = self._active[caller]
        if own >= self._limit_per_caller:
            raise _too_many(f"You have {own} subscriptions here; the limit is {self._limit_per_caller}.")
        self._active[caller] += 1
        try:
            yield
        finally:
            self._active[caller] -= 1
            self._active += Counter()  # drops callers without subscriptions


def _too_many(message: str) -> OverLimit:
    return OverLimit("TOO_MANY_SUBSCRIPTIONS", f"{message} End some, or try again later.", status=429)
