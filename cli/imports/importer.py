"""An import from the first request to the last: open, send what is missing, commit, wait for the end."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cli.imports.batch_api import BatchApi, Order, Outcome
from cli.imports.chunks import Chunk, cut
from cli.imports.price_files import RowFile
from cli.imports.progress import ImportProgress

FIRST_POLL = 0.1
LONGEST_POLL = 2.0
"""Seconds between two looks at a batch that the server works on; they grow from one to the other."""


class Importer:
    """One run of an import. It keeps nothing: whatever a run has done, the next one learns from the server."""

    def __init__(self, api: BatchApi, files: Sequence[RowFile], chunk_rows: int, parallel: int) -> None:
        self._api = api
        self._files = files
        self._chunk_rows = chunk_rows
        self._parallel = parallel
        self.standing = "Nothing was sent yet"
        """Where the import stands, for whoever breaks it off."""

    async def run(self, order: Order, progress: ImportProgress, *, own_key: bool) -> Outcome:
        """Bring the files in; return the batch held, or finished in whatever way. Raises `ApiError`, `FileRefused`.

        A batch that came to nothing is begun anew under another key, unless the key is the caller's own. Under such
        a key every chunk is sent: only the server can tell whether what it has stored is of these files.
        """
        order, outcome = await self._open(order, own_key=own_key)
        batch_id = outcome.batch["id"]
        if outcome.state == "OPEN":
            stored = set(outcome.batch["sequences"])
            if stored:
                progress.note(f"Going on with batch {batch_id}: {len(stored):,} of its chunks are stored already.")
            parts, size = await self._send(batch_id, set() if own_key else stored, progress)
            self.standing = f"Batch {batch_id} is being published"
            progress.waiting("publishing")
            outcome = await self._commit(batch_id, parts, size)
        else:
            progress.note(
                f"Batch {batch_id} was sent by an earlier run, and nothing is sent again. "
                "To import the same rows once more, give another --key."
            )
        if outcome.state == "SEALING":
            self.standing = f"Batch {batch_id} is being published"
            progress.waiting("publishing")
            await self._finished(batch_id)
            outcome = await self._api.open(order)  # unlike the batch alone, its answer says what it came to and why
        self.standing = f"Batch {batch_id} is {outcome.state}"
        return outcome

    async def served(self, outcome: Outcome, progress: ImportProgress) -> Outcome:
        """Return when every living server answers with the batch's version, or a later one."""
        poll = FIRST_POLL
        while True:
            batch = await self._api.look(outcome.batch["id"])
            served = batch["served"]
            if served and served["of"] and served["by"] >= served["of"]:
                return replace(outcome, batch=batch)
            progress.waiting("announcing")
            poll = await _pause(poll)

    async def _open(self, order: Order, *, own_key: bool) -> tuple[Order, Outcome]:
        attempt = 1
        current = order
        while True:
            outcome = await self._api.open(current)
            if own_key or not _came_to_nothing(outcome):
                return current, outcome
            attempt += 1
            current = replace(order, key=f"{order.key}-{attempt}")

    async def _send(self, batch_id: str, stored: set[int], progress: ImportProgress) -> tuple[int, int]:
        """Send the chunks that are not stored; return how many there are in all, and how many prices."""
        parts = size = 0
        chunks = cut(self._files, self._chunk_rows)
        slots = asyncio.Semaphore(self._parallel)
        self._note_sent(batch_id, progress)

        async def send(chunk: Chunk) -> None:
            try:
                wrong = await self._api.append(batch_id, chunk)
            finally:
                slots.release()
            progress.sent(chunk)
            if wrong:
                progress.complain(f"{wrong} Going on, so that the others are found too; Ctrl-C stops it.")
            self._note_sent(batch_id, progress)

        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await slots.acquire()  # before the chunk is cut: so many are in memory, and no more
                    chunk = await asyncio.to_thread(_next, chunks)
                    if chunk is None:
                        break
                    parts += 1
                    size += chunk.prices
                    if chunk.sequence in stored:
                        slots.release()
                        progress.skipped(chunk)
                    else:
                        progress.begin()
                        group.create_task(send(chunk))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return parts, size

    def _note_sent(self, batch_id: str, progress: ImportProgress) -> None:
        self.standing = f"{progress.rows:,} rows of batch {batch_id} are stored"

    async def _commit(self, batch_id: str, parts: int, size: int) -> Outcome:
        poll = FIRST_POLL
        while (outcome := await self._api.commit(batch_id, parts, size)).state == "OPEN":
            poll = await _pause(poll)  # another request is at it, or was when it broke off
        return outcome

    async def _finished(self, batch_id: str) -> None:
        poll = FIRST_POLL
        while (await self._api.look(batch_id))["state"] == "SEALING":
            poll = await _pause(poll)


def _next(chunks: Iterator[Chunk]) -> Chunk | None:
    return next(chunks, None)


def _came_to_nothing(outcome: Outcome) -> bool:
    """Whether the same rows may well fare better now. With bad items they will not."""
    return outcome.state in {"ABORTED", "REJECTED"} or (outcome.state == "FAILED" and not outcome.batch["errorCount"])


async def _pause(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return min(1.5 * seconds, LONGEST_POLL)
