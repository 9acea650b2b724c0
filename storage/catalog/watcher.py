"""Watching the pointers: one change stream per process, resumed by token, with polling while the stream is down."""

import asyncio
import datetime
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.errors import OperationFailure, PyMongoError

from storage.catalog.price_lists import PriceList, from_document
from storage.errors import UnknownFormat
from storage.mongodb.connection import Database, Document

log = logging.getLogger("pricebook.watcher")

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.1, 5.0
"""First and longest delay before the stream is opened again. The delay doubles, with jitter."""

_INVALID_TOKEN_CODES = frozenset({136, 260, 280, 286})
"""The server's error codes for a resume token that is no longer valid."""


class Watcher:
    """Calls `on_change` with every changed pointer, in the order of its revisions.

    While the stream is down, `alive` is False and the pointers are polled at each attempt to open it; a reader that
    must not lag then reads the pointer itself.
    """

    def __init__(self, db: Database, on_change: Callable[[PriceList], None]) -> None:
        self._lists = db["price_lists"]
        self._on_change = on_change
        self._token: Mapping[str, Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()

    @property
    def alive(self) -> bool:
        """Whether the stream is open."""
        return self._opened.is_set()

    async def start(self) -> None:
        """Start watching; return when the stream is open and `on_change` was called for all pointers."""
        self._task = asyncio.create_task(self._run(), name="pointer watcher")
        opened = asyncio.create_task(self._opened.wait())
        await asyncio.wait({self._task, opened}, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()

    async def stop(self) -> None:
        """Close the stream."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                async with await self._lists.watch(full_document="updateLookup", resume_after=self._token) as stream:
                    await self._poll()
                    self._opened.set()
                    delay = FIRST_RETRY_SECONDS
                    await self._follow(stream)
            except PyMongoError as error:
                if isinstance(error, OperationFailure) and error.code in _INVALID_TOKEN_CODES:
                    self._token = None
                log.warning("The pointer stream is down (%s); polling until it is back.", type(error).__name__)
            finally:
                self._opened.clear()
            with suppress(PyMongoError):
                await self._poll()
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
            delay = min(2 * delay, MAX_RETRY_SECONDS)

    async def _poll(self) -> None:
        async for document in self._lists.find().sort("_id", 1):
            self._notify(document)

    async def _follow(self, stream: AsyncChangeStream[Document]) -> None:
        async for change in stream:
            self._token = stream.resume_token
            if document := change.get("fullDocument"):
                self._notify(document, change.get("wallTime"))

    def _notify(self, document: Document, moved_at: datetime.datetime | None = None) -> None:
        try:
            self._on_change(msgspec.structs.replace(from_document(document), moved_at=moved_at))
        except (UnknownFormat, msgspec.ValidationError) as error:
            log.error("The pointer of %s is ignored: %s", document["_id"], error)  # noqa: TRY400 - no traceback needed
