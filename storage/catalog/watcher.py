"""Watching the pointers: one change stream per process, with polling while the stream is down.

The stream has the pointers as each change left them (its post-images), in the order of the transactions. So what is
reported is always a moment that was: lists that one transaction moved are reported together.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from bson.timestamp import Timestamp
from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from storage.catalog.price_lists import PriceList, from_document
from storage.errors import UnknownFormat
from storage.mongodb.connection import DURABLE, Database, Document
from storage.mongodb.deadlines import deadline, is_cancelled

log = logging.getLogger("pricebook.watcher")

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.1, 5.0
"""First and longest delay before the stream is opened again. The delay doubles, with jitter."""

MAX_AWAIT_MS = 5000
"""How long the server waits for a change before it answers that there was none. At most half of `timeoutMS`."""

CANCEL_INTERVAL_SECONDS = 0.1
"""Delay before a cancellation is repeated: the driver may swallow one (see `is_cancelled`) and wait `MAX_AWAIT_MS`."""


class _ReleaseIncomplete(Exception):
    """Another change follows before all lists of a release were received. The pointers must be read."""


def _is_move(change: Mapping[str, Any]) -> bool:
    """Whether a change has made another revision, and is not a note such as that of a compaction."""
    return change["operationType"] != "update" or "revision" in change["updateDescription"]["updatedFields"]


class Watcher:
    """Calls its subscribers with every changed pointer, in the order of the changes; one instance per process.

    They receive the pointers of one moment: those that one transaction changed, or all that were read at once. The
    tombstone of a deleted list is reported as its last pointer.

    While the stream is down, `alive` is False and the pointers are polled at each attempt to open it; a reader that
    must not lag then calls `read`. Nothing unforeseen ends the watcher: a document that cannot be read is logged and
    skipped, an error of a subscriber is logged, and after any other error the stream is opened again.
    """

    def __init__(self, db: Database) -> None:
        self._client = db.client
        self._lists = db["price_lists"]
        self._subscribers: list[Callable[[Sequence[PriceList]], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()

    def subscribe(self, on_change: Callable[[Sequence[PriceList]], None]) -> None:
        """Have `on_change` called with the changed pointers. Subscribe before `start`, which reports all of them."""
        self._subscribers.append(on_change)

    @property
    def alive(self) -> bool:
        """Whether the stream is open."""
        return self._opened.is_set()

    async def start(self) -> None:
        """Start watching; return when the stream is open and all pointers were reported."""
        self._task = asyncio.create_task(self._run(), name="pointer watcher")
        opened = asyncio.create_task(self._opened.wait())
        await asyncio.wait({self._task, opened}, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()

    async def stop(self) -> None:
        """Close the stream."""
        if self._task:
            while not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=CANCEL_INTERVAL_SECONDS)
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while not is_cancelled():
            try:
                async with self._client.start_session() as session, await self._open(session) as stream:
                    self._report(await self._read(session))
                    self._opened.set()
                    delay = FIRST_RETRY_SECONDS
                    await self._follow(stream)
            except PyMongoError as error:
                log.warning("The pointer stream is down (%s); polling until it is back.", type(error).__name__)
            except Exception:
                log.exception("The pointer stream is down; polling until it is back.")
            finally:
                self._opened.clear()
            try:
                self._report(await self.read())
            except PyMongoError as error:
                log.warning("The pointers cannot be polled (%s).", type(error).__name__)
            except Exception:
                log.exception("The pointers cannot be polled.")
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
            delay = min(2 * delay, MAX_RETRY_SECONDS)

    async def _open(self, session: AsyncClientSession) -> AsyncChangeStream[Document]:
        """Open the stream right after the time of a majority read: it misses nothing that a later poll does not see."""
        await self._lists.find_one({}, {"_id": 1}, session=session)
        read_at = session.operation_time
        after = Timestamp(read_at.time, read_at.inc + 1) if read_at else None
        timeout = self._client.options.timeout
        return await self._lists.watch(
            full_document="required",
            start_at_operation_time=after,
            max_await_time_ms=min(MAX_AWAIT_MS, int(timeout * 500)) if timeout else MAX_AWAIT_MS,
        )

    async def read(self) -> list[PriceList]:
        """Return all pointers as they are now, at one moment. Raises the errors of the driver."""
        async with self._client.start_session() as session:
            return await self._read(session)

    async def _read(self, session: AsyncClientSession) -> list[PriceList]:
        async def find(session: AsyncClientSession) -> list[Document]:
            return await self._lists.find(session=session).sort("_id", 1).to_list()

        with deadline(self._client):
            found = await session.with_transaction(find, read_concern=ReadConcern("snapshot"), write_concern=DURABLE)
        return self._decode(found)

    async def _follow(self, stream: AsyncChangeStream[Document]) -> None:
        release: list[Document] = []
        committed_at: Timestamp | None = None
        while stream.alive and not is_cancelled():
            change = await stream.try_next()  # returns within `MAX_AWAIT_MS`: the deadline of an operation applies
            document = change.get("fullDocument") if change else None
            if change is None or document is None:
                continue
            if release and change["clusterTime"] != committed_at:
                raise _ReleaseIncomplete
            mark = document.get("release")
            if mark is None or not _is_move(change):
                self._report(self._decode([document]))
                continue
            release.append(document)
            committed_at = change["clusterTime"]
            if len(release) == mark["lists"]:
                self._report(self._decode(release))
                release = []

    def _decode(self, documents: Sequence[Document]) -> list[PriceList]:
        """Return the readable pointers."""
        pointers = []
        for document in documents:
            try:
                pointers.append(from_document(document))
            except (UnknownFormat, msgspec.ValidationError) as error:
                log.error("The pointer of %s is ignored: %s", document["_id"], error)  # noqa: TRY400 - no traceback needed
            except Exception:
                log.exception("The pointer of %s is ignored.", document["_id"])
        return pointers

    def _report(self, pointers: Sequence[PriceList]) -> None:
        for on_change in self._subscribers:
            try:
                on_change(pointers)
            except Exception:
                log.exception("A subscriber failed on a change of %s.", ", ".join(each.name for each in pointers[:10]))
