"""The keys that tokens are signed with: a JSON Web Key Set (RFC 7517), of a URL or a file, kept and looked at anew."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from graph.telemetry.traces import TRACES

log = logging.getLogger("pricebook.identity")

FRESH_SECONDS = 300.0
"""For so long a set is used without being looked at again: a key that was taken out of it is refused after that."""

RETRY_SECONDS = 10.0
"""A set is not looked at more often than this, whatever keys tokens name."""

TIMEOUT_SECONDS = 5.0
MAX_BYTES = 1 << 20


class BadKeySet(Exception):
    """The set cannot be read."""


class KeySet:
    """The keys at a place, by their ids. While the place does not answer, what it said last holds."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._keys: dict[str | None, PyJWK] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._query_reader = asyncio.Lock()

    async def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key of an id; without an id the only key, if there is just one."""
        await self._refresh(after=FRESH_SECONDS)
        if self._named(key_id) is None:
            await self._refresh(after=RETRY_SECONDS)  # perhaps it is a new one
        return self._named(key_id)

    def _named(self, key_id: str | None) -> PyJWK | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    async def _refresh(self, after: float) -> None:
        if not self._is_due(after):
            return
        async with self._query_reader:
            if not self._is_due(after):
                return
            try:
                self._keys = await read_keys(self._place)
                self._read_at = time.monotonic()
            except BadKeySet as bad:
                log.warning("the keys of tokens stay as they were: %s", bad)
            self._tried_at = time.monotonic()

    def _is_due(self, after: float) -> bool:
        now = time.monotonic()
        return now - self._read_at >= after and now - self._tried_at >= RETRY_SECONDS


async def read_keys(place: str) -> dict[str | None, PyJWK]:
    """Return the keys of a URL or a file, by their ids. Raises `BadKeySet`."""
    try:
        text = await _fetched(place) if is_url(place) else await asyncio.to_thread(Path(place).read_bytes)
        keys = PyJWKSet.from_dict(msgspec.json.decode(text, type=dict[str, Any])).keys
    except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError, PyJWTError) as error:
        raise BadKeySet(f"{place} is no JSON Web Key Set that can be used: {error}") from error
    return {key.key_id: key for key in keys}


def is_url(place: str) -> bool:
    """Whether a place is a URL, and not a file."""
    return place.startswith(("https://", "http://"))


async def _fetched(url: str) -> bytes:
    body = b""
    async with (
        httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client,
        client.stream("GET", url, headers=TRACES.headers()) as response,
    ):
        response.raise_for_status()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_BYTES:
                raise BadKeySet(f"{url} has more than {MAX_BYTES} bytes")
    return body
