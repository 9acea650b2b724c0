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

OUTAGE_GRACE_SECONDS = 300.0
"""How long a cached API key stays valid while the database is unavailable, so that reads from memory continue."""

LAST_USE_INTERVAL_SECONDS = 60.0
"""Minimum time between two writes of the last use of an API key."""

MAX_CACHED_CALLERS = 10_000
MAX_CREDENTIALS_LENGTH = 8192

_BEARER = "bearer "


class _Known(NamedTuple):
    """A cached caller, and when the entry expires, by the monotonic clock."""

    caller: Caller
    until: float


class Authenticator:
    """Identifies callers by the `Authorization` header. Without the header the caller is `nobody`."""

    def __init__(self, nobody: Caller, api_keys: ApiKeyRepository, tokens: Tokens | None = None) -> None:
        self._nobody = nobody
        self._api_keys = api_keys
        self._tokens = tokens
        self._known: LRU[bytes, _Known] = LRU(MAX_CACHED_CALLERS)
        self._asking: SingleFlight[bytes, Caller] = SingleFlight("identify")
        self._noting: set[asyncio.Task[None]] = set()

    def known(self, credentials: bytes | None) -> Caller | None:
        """Return the caller with these credentials if it is cached."""
        if credentials is None:
            return self._nobody
        known = self._known.peek(credentials)
        return known.caller if known and time.monotonic() < known.until else None

    async def identify(self, credentials: bytes | None) -> Caller:
        """Return the caller with these credentials. Raises `Unauthenticated`, `Unavailable`."""
        caller = self.known(credentials)
        if caller or credentials is None:
            return caller or self._nobody
        return await self._asking.run(credentials, partial(self._ask, credentials))

    async def _ask(self, credentials: bytes) -> Caller:
        text = credentials.decode("latin-1")
        if len(text) > MAX_CREDENTIALS_LENGTH or not text.lower().startswith(_BEARER):
            raise Unauthenticated("Credentials of this kind are not supported.")
        text = text[len(_BEARER) :].strip()
        try:
            if is_api_key(text):
                return self._keep(credentials, await self._of_key(text), API_KEY_CACHE_SECONDS)
            return self._keep(credentials, await self._of_token(text), TOKEN_CACHE_SECONDS)
        except Unauthenticated:
            self._known.pop(credentials)
            raise
        except Exception as error:
            if not isinstance(explain(error), Unavailable):
                raise
            return self._while_cut_off(credentials, error)

    async def _of_token(self, text: str) -> Caller:
        if self._tokens is None:
            raise Unauthenticated("This service does not accept tokens.")
        return await self._tokens.caller(text)

    async def _of_key(self, text: str) -> Caller:
        key = await self._api_keys.find(text)
        if key is None:
            raise Unauthenticated("This API key is invalid, expired or revoked.")
        if key.unused_for(LAST_USE_INTERVAL_SECONDS):
            noting = asyncio.create_task(self._note(key), name="note use")
            self._noting.add(noting)
            noting.add_done_callback(self._noting.discard)
        return Caller(key.name, Grants.known(key.grants), key.expires_at.timestamp() if key.expires_at else None)

    async def _note(self, key: ApiKey) -> None:
        try:
            await self._api_keys.note_use(key.id)
        except Exception as error:
            if not isinstance(explain(error), Unavailable):
                raise
            log.warning("cannot record the last use of API key %s: %s", key.id, error)

    def _while_cut_off(self, credentials: bytes, error: Exception) -> Caller:
        known = self._known.peek(credentials)
        if known is None or time.monotonic() > known.until + OUTAGE_GRACE_SECONDS:
            raise error
        return known.caller

    def _keep(self, credentials: bytes, caller: Caller, seconds: float) -> Caller:
        if caller.until is not None:
            seconds = min(seconds, caller.until - time.time())
        self._known.put(credentials, _Known(caller, time.monotonic() + seconds))
        return caller
