"""The pointers, pushed: one change stream a process, resumed by token, with polling while the stream is down."""

import asyncio
import datetime
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.errors import OperationFailure, PyMongoError

from storage.catalog.price_lists import PriceList, from_document
from storage.errors import UnknownFormat
from storage.mongodb.connection import Database, Document

log = logging.getLogger("pricebook.watcher")

# Between two tries to open the stream again, in seconds: it doubles from the first to the last, with jitter.
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0

# The server's codes for a resume token that is of no use any more.
_DEAD_TOKEN = frozenset({136, 260, 280, 286})


class Watcher:
    """Tells every move of every pointer to `moved`, in the order of the pointer's revisions.

    `alive` is False while the stream is down; then the pointers are polled at each try to open it again, and a
    reader that must not lag reads the pointer itself.
    """

    def __init__(self, db: Database, moved: Callable[[PriceList], None]) -> None:
        self._lists = db["price_lists"]
        self._moved = moved
        self._token: Mapping[str, Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()

    @property
    def alive(self) -> bool:
        """Whether the stream is open now."""
        return self._opened.is_set()

    async def start(self) -> None:
        """Begin to watch; returns when the stream is open and all pointers were told once."""
        self._task = asyncio.create_task(self._run(), name="pointer watcher")
        opened = asyncio.create_task(self._opened.wait())
        await asyncio.wait({self._task, opened}, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()

    async def stop(self) -> None:
        """End the stream."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with await self._lists.watch(full_document="updateLookup", resume_after=self._token) as stream:
                    await self._tell_all()
                    self._opened.set()
                    pause = FIRST_PAUSE
                    await self._follow(stream)
            except PyMongoError as error:
                if isinstance(error, OperationFailure) and error.code in _DEAD_TOKEN:
                    self._token = None
                log.warning("The pointer stream is down (%s); polling until it is back.", type(error).__name__)
            finally:
                self._opened.clear()
            with suppress(PyMongoError):
                await self._tell_all()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
            pause = min(2 * pause, LAST_PAUSE)

    async def _tell_all(self) -> None:
        async for document in self._lists.find().sort("_id", 1):
            self._tell(document)

    async def _follow(self, stream: AsyncChangeStream[Document]) -> None:
        async for change in stream:
            self._token = stream.resume_token
            if document := change.get("fullDocument"):
                self._tell(document, change.get("wallTime"))

    def _tell(self, document: Document, moved_at: datetime.datetime | None = None) -> None:
        try:
            self._moved(replace(from_document(document), moved_at=moved_at))
        except UnknownFormat as error:
            log.error("%s", error.message)  # noqa: TRY400 - the message says it all
