"""What is said to caches about an answer that may be kept."""

from dataclasses import dataclass

from graph.asgi.headers import Headers
from graph.identity.callers import ANONYMOUS

IMMUTABLE = "max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class CacheControl:
    """For how many seconds an answer of the current version is used unasked, and used while it is asked for anew."""

    max_age: int = 0
    stale_while_revalidate: int = 0

    def headers(self, scope: str, etag: bytes, *, immutable: bool) -> Headers:
        """Return the headers of an answer: one of versions that the request names itself is `immutable`.

        What is answered to someone who says who they are is kept by nobody but them.
        """
        whose = "public" if scope == ANONYMOUS else "private"
        how = IMMUTABLE if immutable else self._current()
        return [(b"etag", etag), (b"cache-control", f"{whose}, {how}".encode())]

    def _current(self) -> str:
        if self.stale_while_revalidate:
            return f"max-age={self.max_age}, stale-while-revalidate={self.stale_while_revalidate}"
        return f"max-age={self.max_age}, must-revalidate"
