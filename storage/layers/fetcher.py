"""Fetching blocks and directories from the database: each block once for all requests that miss it.

The misses of one turn of the event loop go in one find for each layer. A layer has at most one large find and
`MAX_SMALL_FINDS` small ones under way; further misses wait for one of their kind to end and then go together: the more
requests there are, the more blocks they share, and the less each of them costs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import OperationFailure

from storage.errors import Corrupt, LayerGone, UnknownFormat
from storage.fair_yield import yield_to_loop
from storage.layers.block import BLOCK_FORMAT, BlockContent, collection_of, open_block
from storage.layers.directory import Directory, Root, decompress_page
from storage.mongodb.connection import COLLECTION_DROPPED, Database, Document
from storage.mongodb.secondaries import Secondaries

MAX_SMALL_FINDS = 2
"""Small finds of one layer at once, in a process, besides one large find."""

SMALL_FIND_BLOCKS = 32
"""Blocks that a small find begins with at most."""

MAX_BLOCKS_PER_FIND = 1000
"""Blocks of one find: some 1.2 MB."""

OPENED_AT_ONCE = 64
"""Blocks to decompress and prove before other tasks may run: about a millisecond."""

Session = AsyncClientSession | None


class FetchedBlock:
    """A block as it was stored, and its content, proved."""

    __slots__ = ("content", "frame")

    def __init__(self, frame: bytes, content: BlockContent) -> None:
        self.frame = frame
        self.content = content


class _Find:
    """A find of some blocks of a layer, by their indexes; and what it found, sound or refused."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.indexes: list[int] = []
        self.found: dict[int, FetchedBlock] = {}
        self.refused: dict[int, Corrupt | UnknownFormat] = {}
        self.task: asyncio.Task[None]


class _Queue:
    """The finds of a layer by their blocks, and the next one, which still takes blocks."""

    def __init__(self) -> None:
        self.small = asyncio.Semaphore(MAX_SMALL_FINDS)
        self.large = asyncio.Semaphore(1)
        self.finds: dict[int, _Find] = {}
        self.next: _Find | None = None


class BlockFetcher:
    """Fetches the blocks and directories of a database, from secondaries if they are given.

    Those that a secondary does not have yet are read from the primary. `corrupt` counts the blocks and directories that
    were damaged or missing.
    """

    def __init__(self, db: Database, secondaries: Secondaries | None = None) -> None:
        self._db = db
        self._secondaries = secondaries
        self._queues: dict[str, _Queue] = {}
        self.corrupt = 0

    async def directory(self, layer_id: str, checksum: str, count: int) -> Directory:
        """Return the directory of a layer. Raises `LayerGone`, `Corrupt`, `UnknownFormat`."""

        async def read(db: Database, session: Session) -> list[Document]:
            return await _read_pages(db, layer_id, session)

        if self._secondaries and (documents := await self._secondaries.read(read)):
            with suppress(Corrupt, UnknownFormat):
                return await _checked_directory(layer_id, documents, checksum, count)
        try:
            return await _checked_directory(layer_id, await self._read_primary(layer_id, read), checksum, count)
        except Corrupt:
            self.corrupt += 1
            raise

    async def unproved_directory(self, layer_id: str) -> tuple[Directory, str]:
        """Return the directory of a layer that no version names, and its checksum as it is stored.

        Raises `LayerGone`, `Corrupt`, `UnknownFormat`.
        """
        return await _opened_directory(layer_id, await _read_pages(self._db, layer_id))

    async def fetch(self, layer_id: str, directory: Directory, indexes: Sequence[int]) -> list[FetchedBlock]:
        """Return blocks of a layer. Raises `LayerGone`, `Corrupt`, `UnknownFormat`."""
        queue = self._queues.setdefault(layer_id, _Queue())
        new = [index for index in indexes if index not in queue.finds]
        while new:
            find = self._next(layer_id, directory, queue)
            added, new = new[: MAX_BLOCKS_PER_FIND - len(find.indexes)], new[MAX_BLOCKS_PER_FIND - len(find.indexes) :]
            find.indexes += added
            queue.finds.update(dict.fromkeys(added, find))
        finds = list(map(queue.finds.__getitem__, indexes))
        for find in dict.fromkeys(finds):
            await asyncio.shield(find.task)
        for index, find in zip(indexes, finds, strict=True) if any(find.refused for find in finds) else ():
            if index in find.refused:  # those who share the find, but not the block, are not concerned
                raise find.refused[index]
        return [find.found[index] for index, find in zip(indexes, finds, strict=True)]

    def _next(self, layer_id: str, directory: Directory, queue: _Queue) -> _Find:
        find = queue.next
        if find is None or len(find.indexes) >= MAX_BLOCKS_PER_FIND:
            find = queue.next = _Find(directory)
            find.task = asyncio.create_task(self._run(layer_id, queue, find), name=f"find blocks of {layer_id}")
            find.task.add_done_callback(_retrieve_error)
        return find

    async def _run(self, layer_id: str, queue: _Queue, find: _Find) -> None:
        await asyncio.sleep(0)  # lets tasks that are ready to run add their blocks
        try:
            async with queue.small if len(find.indexes) <= SMALL_FIND_BLOCKS else queue.large:
                if queue.next is find:
                    queue.next = None
                await self._find(layer_id, find)
        finally:
            if queue.next is find:
                queue.next = None
            for index in find.indexes:
                del queue.finds[index]
            if not queue.finds and self._queues.get(layer_id) is queue:
                del self._queues[layer_id]

    async def _find(self, layer_id: str, find: _Find) -> None:
        missing = {find.directory.firsts[index]: index for index in find.indexes}

        async def read(db: Database, session: Session) -> list[Document]:
            cursor = db[collection_of(layer_id)].find({"_id": {"$in": list(missing)}}, session=session)
            return await cursor.batch_size(len(missing) + 1).to_list()

        if self._secondaries:
            await _open_all(layer_id, await self._secondaries.read(read) or (), find, missing)
            find.refused.clear()  # the primary may have a sound one
            missing = {first: index for first, index in missing.items() if index not in find.found}
        if missing:
            await _open_all(layer_id, await self._read_primary(layer_id, read), find, missing)
            lost = [first for first, index in missing.items() if index not in find.found and index not in find.refused]
            if lost and await self._db[collection_of(layer_id)].find_one({"_id": 0}, {"_id": 1}) is None:
                raise LayerGone(layer_id)
            find.refused |= {missing[first]: _corrupt(layer_id, first, "It does not exist.") for first in lost}
            self.corrupt += sum(isinstance(error, Corrupt) for error in find.refused.values())

    async def _read_primary(
        self, layer_id: str, read: Callable[[Database, Session], Awaitable[list[Document]]]
    ) -> list[Document]:
        try:
            return await read(self._db, None)
        except OperationFailure as error:
            if error.code == COLLECTION_DROPPED:
                raise LayerGone(layer_id) from error
            raise


async def _open_all(layer_id: str, documents: Sequence[Document], find: _Find, indexes: Mapping[str, int]) -> None:
    """Decompress and prove blocks. `indexes` are the indexes of the blocks that were asked for."""
    for number, document in enumerate(documents, 1):
        index = indexes[document["_id"]]
        try:
            find.found[index] = _opened(layer_id, document, find.directory.hash(index))
        except (Corrupt, UnknownFormat) as error:
            find.refused[index] = error
        if not number % OPENED_AT_ONCE:
            await asyncio.sleep(0)


def _opened(layer_id: str, document: Document, expected_hash: bytes) -> FetchedBlock:
    first = document["_id"]
    if document.get("format") != BLOCK_FORMAT:
        raise UnknownFormat(f"block {first!r} of layer {layer_id}", document.get("format"), BLOCK_FORMAT)
    try:
        frame: bytes = document["data"]
        return FetchedBlock(frame, open_block(frame, expected_hash))
    except (Corrupt, KeyError, TypeError) as error:
        raise _corrupt(layer_id, first, str(error)) from error


async def _read_pages(db: Database, layer_id: str, session: Session = None) -> list[Document]:
    # Skus are text: the numbers are the pages alone.
    return await db[collection_of(layer_id)].find({"_id": {"$gte": 0}}, session=session).sort("_id", 1).to_list()


async def _opened_directory(layer_id: str, documents: Sequence[Document]) -> tuple[Directory, str]:
    """Return the directory of some pages, and its checksum."""
    if not documents:
        raise LayerGone(layer_id)
    root, directory = Root(), Directory()
    for document in documents:
        if document.get("format") != BLOCK_FORMAT:
            raise UnknownFormat(f"directory of layer {layer_id}", document.get("format"), BLOCK_FORMAT)
        try:
            page = decompress_page(document["data"])
            directory.add(page)
        except (Corrupt, KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            raise Corrupt(f"The directory of layer {layer_id} is damaged. {error} {_REMEDY}") from error
        root.add(page)
        await yield_to_loop()
    return directory, root.hex


async def _checked_directory(layer_id: str, documents: Sequence[Document], checksum: str, count: int) -> Directory:
    directory, found = await _opened_directory(layer_id, documents)
    if found != checksum:
        raise Corrupt(f"The directory of layer {layer_id} has another checksum than its manifest. {_REMEDY}")
    if directory.count != count:
        raise Corrupt(f"Layer {layer_id} has {directory.count} rows; its manifest has {count}. {_REMEDY}")
    return directory


_REMEDY = "Run `pricebook check`, and roll back to a version without this layer."


def _corrupt(layer_id: str, first: str, problem: str) -> Corrupt:
    return Corrupt(f"The block {first!r} of layer {layer_id} is damaged. {problem} {_REMEDY}")


def _retrieve_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # marks it as retrieved if every caller was cancelled
