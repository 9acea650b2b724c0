"""Identifies callers by their credentials, and caches the result for a while."""

import asyncio
import logging
import time
from functools import partial
from typing import NamedTuple

from graph.identity.callers import Caller, Unauthenticated
from graph.identity.scopes import Grants
from graph.identity.tokens import Tokens
from loaders import LRU, SingleFlight
from storage import ApiKey, ApiKeyRepository, Unavailable, explain, is_api_key

log = logging.getLogger("pricebook.identity")

API_KEY_CACHE_SECONDS = 5.0
"""How long an API key is cached, and so may still be accepted after it was revoked."""

TOKEN_CACHE_SECONDS = 60.0
"""How long a token is cached, and so may still be accepted after its signing key was removed."""

RECHECK_INTERVAL_SECONDS = 5.0
"""Interval at which the credentials of an open WebSocket or event stream are checked again."""

OUTAGE_GRACE_SECONDS = 300.0
"""How long a cached API key stays valid while the database is unavailable, so that reads from memory continue."""

LAST_USE_INTERVAL_SECONDS = 60.0
"""Minimum time between two writes of the last use of an API key."""

MAX_CALLER_CACHE_BYTES = 16 << 20
"""Memory for cached callers: thousands with tokens of common size."""

MAX_CREDENTIALS_LENGTH = 8192
"""Length of the `Authorization` header. Longer credentials are refused without being looked at."""

_ENTRY_BYTES = 1500
"""Memory of a cached caller, besides its credentials and the lists that its grants name."""

_NAME_BYTES = 100
"""Memory of a list that a grant names."""

_BEARER = "bearer "


class _CachedCaller(NamedTuple):
    """A caller, and when the entry expires, by the monotonic clock."""

    caller: Caller
    expires_at: float


class Authenticator:
    """Identifies callers by the `Authorization` header. Without the header the caller is `anonymous`."""

    def __init__(self, anonymous: Caller, api_keys: ApiKeyRepository, tokens: Tokens | None = None) -> None:
        self._anonymous = anonymous
        self._api_keys = api_keys
        self._tokens = tokens
        self._callers: LRU[bytes, _CachedCaller] = LRU(MAX_CALLER_CACHE_BYTES, _weigh)
        self._lookups: SingleFlight[bytes, Caller] = SingleFlight("identify")
        self._use_updates: set[asyncio.Task[None]] = set()

    def cached(self, credentials: bytes | None) -> Caller | None:
        """Return the caller with these credentials if it is cached."""
        if credentials is None:
            return self._anonymous
        entry = self._callers.peek(credentials)
        return entry.caller if entry and time.monotonic() < entry.expires_at else None

    async def identify(self, credentials: bytes | None) -> Caller:
        """Return the caller with these credentials. Raises `Unauthenticated`, `Unavailable`."""
        caller = self.cached(credentials)
        if caller or credentials is None:
            return caller or self._anonymous
        if len(credentials) > MAX_CREDENTIALS_LENGTH:
            raise Unauthenticated("These credentials are too long.")
        return await self._lookups.run(credentials, partial(self._look_up, credentials))

    async def _look_up(self, credentials: bytes) -> Caller:
        text = credentials.decode("latin-1")
        if not text.lower().startswith(_BEARER):
            raise Unauthenticated("Credentials of this kind are not supported.")
        text = text[len(_BEARER) :].strip()
        try:
            if is_api_key(text):
                return self._cache(credentials, await self._by_key(text), API_KEY_CACHE_SECONDS)
            return self._cache(credentials, await self._by_token(text), TOKEN_CACHE_SECONDS)
        except Unauthenticated:
            self._callers.pop(credentials)
            raise
        except Exception as error:
            if not isinstance(explain(error), Unavailable):
                raise
            return self._cached_during_outage(credentials, error)

    async def _by_token(self, text: str) -> Caller:
        if self._tokens is None:
            raise Unauthenticated("This service does not accept tokens.")
        return await self._tokens.caller(text)

    async def _by_key(self, text: str) -> Caller:
        key = await self._api_keys.find(text)
        if key is None:
            raise Unauthenticated("This API key is invalid, expired or revoked.")
        if key.unused_for(LAST_USE_INTERVAL_SECONDS):
            update = asyncio.create_task(self._record_use(key), name="record use")
            self._use_updates.add(update)
            update.add_done_callback(self._use_updates.discard)
        return Caller(key.name, Grants.parse_valid(key.grants), key.expires_at.timestamp() if key.expires_at else None)

    async def _record_use(self, key: ApiKey) -> None:
        try:
            await self._api_keys.record_use(key.id)
        except Exception as error:
            if not isinstance(explain(error), Unavailable):
                raise
            log.warning("Could not record the last use of API key %s: %s", key.id, error)

    def _cached_during_outage(self, credentials: bytes, error: Exception) -> Caller:
        entry = self._callers.peek(credentials)
        if entry is None or time.monotonic() > entry.expires_at + OUTAGE_GRACE_SECONDS:
            raise error
        return entry.caller

    def _cache(self, credentials: bytes, caller: Caller, seconds: float) -> Caller:
        if caller.expires_at is not None:
            seconds = min(seconds, caller.expires_at - time.time())
        self._callers.put(credentials, _CachedCaller(caller, time.monotonic() + seconds))
        return caller


def _weigh(credentials: bytes, entry: _CachedCaller) -> int:
    lists = entry.caller.grants.lists_by_scope.values()
    names = sum(len(each.names) + len(each.prefixes) for each in lists)
    return _ENTRY_BYTES + len(credentials) + _NAME_BYTES * names
