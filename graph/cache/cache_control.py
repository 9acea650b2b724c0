"""The Cache-Control header of cacheable responses."""

import datetime
import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from graph.asgi.headers import Headers
from graph.identity.callers import ANONYMOUS
from storage import HEARTBEAT_INTERVAL_SECONDS, DatabaseClock

IMMUTABLE = "max-age=31536000, immutable"
"""Directives for responses that never change: a year."""

MARGIN_SECONDS = 1.0
"""How long before a scheduled change caches must ask again: those that count whole seconds keep a response longer."""


@dataclass(frozen=True, slots=True)
class CacheControl:
    """`max-age` and `stale-while-revalidate` in seconds, for responses of the current version."""

    max_age: int = 0
    stale_while_revalidate: int = 0

    def headers(self, scope: str, etag: bytes, *, immutable: bool, seconds_left: float = math.inf) -> Headers:
        """Return the headers of a response, the Cache-Control header last.

        It is `immutable` if the request names all versions that it reads. Otherwise no cache uses it beyond
        `seconds_left`, when a version that it reads is about to change. Responses to authenticated callers are private.
        """
        visibility = "public" if scope == ANONYMOUS else "private"
        freshness = IMMUTABLE if immutable else self._current(seconds_left)
        return [(b"etag", etag), (b"cache-control", f"{visibility}, {freshness}".encode())]

    def may_revalidate(self, seconds_left: float) -> bool:
        """Whether a cache may be told with 304 that its response is still the current one.

        Not while `max-age` is 0 only because of an imminent change: nginx ignores that 0 in a 304, and uses the stored
        response for another `max-age` of its own.
        """
        return not self.max_age or seconds_left - MARGIN_SECONDS >= 1

    def valid_for(self, seconds_left: float) -> float:
        """Return for how many seconds the headers of a response stay right.

        After that, a cache would keep the response too long; or the database's clock was read again, by which more or
        less time may be left.
        """
        left, reach = seconds_left - MARGIN_SECONDS, self.max_age + self.stale_while_revalidate
        if not reach:
            return math.inf
        if left < 1:
            return 1.0
        return min(HEARTBEAT_INTERVAL_SECONDS, left - reach if left >= reach else left - math.floor(left))

    def _current(self, seconds_left: float) -> str:
        left = max(0.0, seconds_left - MARGIN_SECONDS)
        max_age = math.floor(min(left, self.max_age))
        stale = math.floor(min(left - max_age, self.stale_while_revalidate))
        return f"max-age={max_age}, {f'stale-while-revalidate={stale}' if stale else 'must-revalidate'}"


class Freshness(NamedTuple):
    """The cache headers of a response, whether 304 may replace it, and for how many seconds both are right."""

    headers: Headers
    may_revalidate: bool = True
    valid_for: float = math.inf


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What the cache headers of one response depend on.

    It changes at `next_change_at`, by `clock`; None if no change of what it reads is scheduled.
    """

    cache_control: CacheControl
    scope: str
    etag: bytes
    immutable: bool
    next_change_at: datetime.datetime | None
    clock: DatabaseClock

    def freshness(self) -> Freshness:
        """Return the headers for the time that is left now."""
        headers = partial(self.cache_control.headers, self.scope, self.etag, immutable=self.immutable)
        if self.immutable or self.next_change_at is None:
            return Freshness(headers())
        left = self.clock.seconds_until(self.next_change_at)
        control = self.cache_control
        return Freshness(headers(seconds_left=left), control.may_revalidate(left), control.valid_for(left))
