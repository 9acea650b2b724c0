"""The sessions of browsers. They live in memory alone: a token is neither stored nor logged."""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from console.client.client import ApiClient
from console.client.feed import Feed
from console.sessions.caller import CALLER, Caller

MAX_SESSIONS = 200
"""Sessions of a console; the one used longest ago ends when another begins."""

IDLE_SECONDS = 12 * 60 * 60
"""How long a session lasts after its last page, also if a tab is left open."""

EXPIRY_SECONDS = 60.0
"""How often idle sessions are looked for."""

CALLER_SECONDS = 30
"""How long the caller's grants are offered before they are asked again; the API itself decides each time."""


class Session:
    """One browser that acts in the name of one caller."""

    def __init__(self, client: ApiClient, caller: Caller, clock: Callable[[], float]) -> None:
        self.client = client
        self.feed = Feed(client)
        self.used_at = self._asked_at = clock()
        self._clock = clock
        self._caller = caller

    async def caller(self) -> Caller:
        """Return the caller with its present grants. Raises `ApiError`."""
        if self._clock() - self._asked_at > CALLER_SECONDS:
            self._caller = Caller.parse(await self.client.query(CALLER))
            self._asked_at = self._clock()
        return self._caller

    async def close(self) -> None:
        """End everything that runs for the session."""
        self.feed.stop()
        await self.client.close()


class Sessions:
    """All sessions of a console, by their secret ids."""

    def __init__(self, endpoint: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    async def open(self, token: str | None) -> str:
        """Begin a session, and return its id. Raises `ApiError` if the API does not accept the token."""
        client = ApiClient(self._endpoint, token)
        try:
            caller = Caller.parse(await client.query(CALLER))
        except BaseException:
            await client.close()
            raise
        session_id = secrets.token_urlsafe(32)
        self._sessions[session_id] = Session(client, caller, self._clock)
        while len(self._sessions) > MAX_SESSIONS:
            self._close_later(self._sessions.popitem(last=False)[1])
        return session_id

    def find(self, session_id: str | None) -> Session | None:
        """Return a session and note its use. None if there is none, or if it was idle for too long."""
        session = self._sessions.get(session_id) if session_id else None
        if session is None or session_id is None:
            return None
        if self._is_idle(session):
            self.end(session_id)
            return None
        session.used_at = self._clock()
        self._sessions.move_to_end(session_id)
        return session

    def end(self, session_id: str | None) -> None:
        """End a session. Does nothing if there is none."""
        if session_id and (session := self._sessions.pop(session_id, None)):
            self._close_later(session)

    async def expire(self) -> None:
        """End idle sessions, for ever: pages that they left open can do nothing more."""
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            for session_id in [each for each, session in self._sessions.items() if self._is_idle(session)]:
                self.end(session_id)

    def _is_idle(self, session: Session) -> bool:
        return self._clock() - session.used_at > IDLE_SECONDS

    async def close(self) -> None:
        """End all sessions."""
        for session_id in list(self._sessions):
            self.end(session_id)
        if self._closing:
            await asyncio.wait(self._closing)

    def _close_later(self, session: Session) -> None:
        task = asyncio.get_running_loop().create_task(session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
