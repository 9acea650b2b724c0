"""The limits of request bodies: of each, and of the memory for all that are being received or decoded."""

import asyncio
from dataclasses import dataclass

from graph.limits.limits import OverLimit


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """Number of bytes that a body may have, and what to do about a longer one."""

    bytes: int
    advice: str


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Numbers of bytes: of a request without prices, of one with prices, of an upload, and of all bodies in memory."""

    query: int = 1 << 20
    body: int = 64 << 20
    upload: int = 4 << 30
    in_flight: int = 256 << 20

    def small(self) -> BodyLimit:
        """Return the limit of a request without prices, and of any by a caller who may not write."""
        advice = "Only a batch may be longer, and needs the scope `batches:write`. Or raise PRICEBOOK_MAX_QUERY_BYTES."
        return BodyLimit(self.query, advice)

    def large(self, *, is_upload: bool) -> BodyLimit:
        """Return the limit of a request with prices."""
        if is_upload:
            return BodyLimit(self.upload, "Send the batch in parts, or raise PRICEBOOK_MAX_UPLOAD_BYTES.")
        return BodyLimit(self.body, "Send the batch in parts, or raise PRICEBOOK_MAX_BODY_BYTES.")


DEFAULT_BODY_LIMITS = BodyLimits()


WAIT_SECONDS = 10.0
"""How long a request waits for memory."""


class BodyBudget:
    """Counts the bytes of the bodies in memory: at most `max_bytes` in this process, and half of that for one caller.

    A body without prices is short, so only integrators come near the limit.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._total = 0
        self._by_caller: dict[str, int] = {}
        self._released = asyncio.Event()

    async def reserve(self, caller: str, size: int) -> None:
        """Count bytes of a caller until `release`; wait until there is room. Raises `OverLimit` after some seconds."""
        if not self._fits(caller, size):
            await self._wait(caller, size)
        self._total += size
        self._by_caller[caller] = self._by_caller.get(caller, 0) + size

    async def _wait(self, caller: str, size: int) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not self._fits(caller, size):
                    self._released.clear()
                    await self._released.wait()
        except TimeoutError:
            message = "This process is receiving too many large requests. Send fewer at a time, or try again later."
            raise OverLimit("SERVER_BUSY", message, status=503) from None

    def release(self, caller: str, size: int) -> None:
        """Stop counting bytes of a caller."""
        self._total -= size
        self._by_caller[caller] -= size
        if not self._by_caller[caller]:
            del self._by_caller[caller]
        self._released.set()

    def _fits(self, caller: str, size: int) -> bool:
        own = self._by_caller.get(caller, 0) + size
        return self._total + size <= self._max_bytes and own <= self._max_bytes // 2
