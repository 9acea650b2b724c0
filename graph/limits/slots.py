"""Limits of what callers may have open at once, such as subscriptions."""

from collections.abc import Iterator
from contextlib import contextmanager

from graph.limits.limits import OverLimit

DEFAULT_MAX_SUBSCRIPTIONS = 1000
"""Default limit of the subscriptions of a process."""

MAX_SUBSCRIPTIONS_PER_CALLER = 100
"""Limit of the subscriptions of one caller in a process, so that no caller can use all."""


class Slots:
    """Counts what is open in this process: at most `limit`, and `limit_per_caller` of each caller.

    `noun` and `code` are those of the error: `subscriptions`, `TOO_MANY_SUBSCRIPTIONS`.
    """

    def __init__(self, noun: str, code: str, limit: int, limit_per_caller: int) -> None:
        self._noun = noun
        self._code = code
        self._limit = limit
        self._limit_per_caller = limit_per_caller
        self._total = 0
        self._by_caller: dict[str, int] = {}

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Occupy a slot of a caller while the context is open. Raises `OverLimit`."""
        own = self._by_caller.get(caller, 0)
        if self._total >= self._limit:
            raise self._too_many(f"This process has {self._total} {self._noun}; the limit is {self._limit}.")
        if own >= self._limit_per_caller:
            raise self._too_many(f"You have {own} {self._noun} here; the limit is {self._limit_per_caller}.")
        self._total += 1
        self._by_caller[caller] = own + 1
        try:
            yield
        finally:
            self._total -= 1
            self._by_caller[caller] -= 1
            if not self._by_caller[caller]:
                del self._by_caller[caller]

    def _too_many(self, message: str) -> OverLimit:
        return OverLimit(self._code, f"{message} End some, or try again later.", status=429)


def subscription_slots(limit: int = DEFAULT_MAX_SUBSCRIPTIONS) -> Slots:
    """Return the slots of subscriptions, over event streams and WebSockets."""
    return Slots("subscriptions", "TOO_MANY_SUBSCRIPTIONS", limit, MAX_SUBSCRIPTIONS_PER_CALLER)
