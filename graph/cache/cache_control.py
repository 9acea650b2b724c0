"""The Cache-Control header of cacheable responses."""

from dataclasses import dataclass

from graph.asgi.headers import Headers
from graph.identity.callers import ANONYMOUS

IMMUTABLE = "max-age=31536000, immutable"
"""Directives for responses that never change: a year."""


@dataclass(frozen=True, slots=True)
class CacheControl:
    """`max-age` and `stale-while-revalidate` in seconds, for responses of the current version."""

    max_age: int = 0
    stale_while_revalidate: int = 0

    def headers(self, scope: str, etag: bytes, *, immutable: bool) -> Headers:
        """Return the headers of a response. It is `immutable` if the request names all versions that it reads.

        Responses to authenticated callers are private.
        """
        visibility = "public" if scope == ANONYMOUS else "private"
        freshness = IMMUTABLE if immutable else self._current()
        return [(b"etag", etag), (b"cache-control", f"{visibility}, {freshness}".encode())]

    def _current(self) -> str:
        if self.stale_while_revalidate:
            return f"max-age={self.max_age}, stale-while-revalidate={self.stale_while_revalidate}"
        return f"max-age={self.max_age}, must-revalidate"
