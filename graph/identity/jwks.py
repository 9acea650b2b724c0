"""The keys that verify tokens: a JSON Web Key Set (RFC 7517) from a URL or a file, cached and refreshed."""

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

MAX_AGE_SECONDS = 300.0
"""Time after which a key set is read again, and a key that was removed from it is no longer accepted."""

MIN_REFRESH_INTERVAL_SECONDS = 10.0
"""Minimum time between two reads of a key set, even if tokens name unknown keys."""

FETCH_TIMEOUT_SECONDS = 5.0

MAX_BYTES = 1 << 20
"""Limit of the size of a key set."""


class BadKeySet(Exception):
    """The key set cannot be read."""


class KeySet:
    """The keys at a URL or in a file, by id. If they cannot be read again, the last ones stay in use."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._keys: dict[str | None, PyJWK] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._refreshing = asyncio.Lock()

    async def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key with an id. Without an id return the only key, if there is exactly one."""
        await self._refresh(after=MAX_AGE_SECONDS)
        if self._named(key_id) is None:
            await self._refresh(after=MIN_REFRESH_INTERVAL_SECONDS)  # the key may be new
        return self._named(key_id)

    def _named(self, key_id: str | None) -> PyJWK | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    async def _refresh(self, after: float) -> None:
        if not self._is_due(after):
            return
        async with self._refreshing:
            if not self._is_due(after):
                return
            try:
                self._keys = await read_keys(self._source)
                self._read_at = time.monotonic()
            except BadKeySet as bad:
                log.warning("Could not refresh the keys of tokens, using the last ones: %s", bad)
            self._tried_at = time.monotonic()

    def _is_due(self, after: float) -> bool:
        now = time.monotonic()
        return now - self._read_at >= after and now - self._tried_at >= MIN_REFRESH_INTERVAL_SECONDS


async def read_keys(source: str) -> dict[str | None, PyJWK]:
    """Return the keys at a URL or in a file, by id. Raises `BadKeySet`."""
    try:
        text = await _fetch(source) if is_url(source) else await asyncio.to_thread(Path(source).read_bytes)
        keys = PyJWKSet.from_dict(msgspec.json.decode(text, type=dict[str, Any])).keys
    except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError, PyJWTError) as error:
        raise BadKeySet(f"{source} is not a usable JSON Web Key Set: {error}") from error
    return {key.key_id: key for key in keys}


def is_url(source: str) -> bool:
    """Whether a source is a URL, not a file."""
    return source.startswith(("https://", "http://"))


async def _fetch(url: str) -> bytes:
    body = b""
    async with (
        httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS, follow_redirects=False) as client,
        client.stream("GET", url, headers=TRACES.headers()) as response,
    ):
        response.raise_for_status()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_BYTES:
                raise BadKeySet(f"{url} has more than {MAX_BYTES} bytes.")
    return body
