"""The publications of all price lists, pushed by the API and passed on to the pages that follow them."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from console.client import Json
from console.client.client import ApiClient
from console.client.errors import ApiError

PUBLICATIONS = """
subscription ConsolePublications {
  publications { priceList version previousVersion kind at }
}"""

FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 30.0

Follower = Callable[[Json | None], None]
"""Called with each publication, and with None once publications may have been missed."""

log = logging.getLogger("pricebook.console")


class Feed:
    """One subscription for all followers of a session; open only while there are some."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._followers: set[Follower] = set()
        self._task: asyncio.Task[None] | None = None

    def follow(self, follower: Follower) -> None:
        """Call a function with each publication from now on."""
        self._followers.add(follower)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def unfollow(self, follower: Follower) -> None:
        """Call it no more. Does nothing if it does not follow."""
        self._followers.discard(follower)
        if not self._followers:
            self.stop()

    def stop(self) -> None:
        """End the subscription."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                async with aclosing(self._client.subscribe(PUBLICATIONS)) as events:
                    async for data in events:
                        delay = FIRST_RETRY_SECONDS
                        self._notify(data["publications"])
            except ApiError as error:
                log.info("Publications are interrupted for %.0f s: %s", delay, error)
            await asyncio.sleep(delay)
            delay = min(2 * delay, MAX_RETRY_SECONDS)
            self._notify(None)

    def _notify(self, publication: Json | None) -> None:
        for follower in list(self._followers):
            try:
                follower(publication)
            except Exception:  # that of one page: the others still follow
                log.exception("A page failed to follow a publication.")
