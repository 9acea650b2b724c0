"""An import from the first request to the last: open the batch, send missing parts, commit, wait for the result."""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cli.imports.batch_api import DRY_RUN, BatchApi, BatchRequest, ListMissing, Outcome
from cli.imports.parts import Part, split
from cli.imports.price_files import RowFile
from cli.imports.transfer import Transfer
from cli.progress import Progress

FIRST_POLL_INTERVAL_SECONDS = 0.1
"""Interval between the first two polls of a batch; it grows by half with each poll."""

MAX_POLL_INTERVAL_SECONDS = 2.0
"""Longest interval between two polls of a batch."""


class Importer:
    """One run of an import. It stores nothing locally: the next run asks the server what is done."""

    def __init__(self, files: Sequence[RowFile], part_rows: int, max_requests: int, progress: Progress) -> None:
        self._files = files
        self._part_rows = part_rows
        self._max_requests = max_requests
        self._progress = progress
        self._transfer = Transfer(sum(each.size for each in files))
        self.status = "Nothing was sent yet"
        """How far the import is, for the message on Ctrl-C."""

    async def run(self, api: BatchApi, request: BatchRequest, *, own_key: bool, create: bool = False) -> Outcome:
        """Import the files and return the batch, held or finished. Raises `ApiError`, `FileRefused`.

        With `create`, a list that does not exist is created, except for a dry run.

        If an earlier batch of the same key failed for a reason that may be gone, a new batch with another key replaces
        it, unless the user chose the key. Under a key of the user's, every part is sent: only the server can compare
        the stored parts with these files.
        """
        try:
            request, outcome = await self._open(api, request, own_key=own_key)
        except ListMissing:
            if not create or request.publish == DRY_RUN:
                raise
            await api.create_list(request.price_list)
            self._progress.note(f"Created the price list {request.price_list}.")
            request, outcome = await self._open(api, request, own_key=own_key)
        batch_id = outcome.batch["id"]
        if outcome.state == "OPEN":
            stored = set(outcome.batch["sequences"])
            if stored:
                self._progress.note(f"Resuming batch {batch_id}: {len(stored):,} of its parts are already stored.")
            parts, size = await self._send(api, batch_id, set() if own_key else stored)
            self._wait_for_publication(batch_id)
            outcome = await self._commit(api, batch_id, parts, size)
        else:
            self._progress.note(
                f"An earlier run sent batch {batch_id}; nothing is sent again. "
                "To import the same rows again, use another --key."
            )
        if outcome.state == "SEALING":
            self._wait_for_publication(batch_id)
            await self._wait_until_sealed(api, batch_id)
            outcome = await api.open(request)  # its response has the snapshot and user errors, which a batch lacks
        self.status = f"Batch {batch_id} is {outcome.state}"
        return outcome

    async def wait_until_served(self, api: BatchApi, outcome: Outcome) -> Outcome:
        """Wait until every live server serves the version of the batch, or a later one."""
        interval = FIRST_POLL_INTERVAL_SECONDS
        while True:
            batch = await api.get(outcome.batch["id"])
            served = batch["served"]
            if served and served["of"] and served["by"] >= served["of"]:
                return replace(outcome, batch=batch)
            self._progress.wait_for("waiting for the servers")
            interval = await _pause(interval)

    async def _open(self, api: BatchApi, request: BatchRequest, *, own_key: bool) -> tuple[BatchRequest, Outcome]:
        attempt = 1
        current = request
        while True:
            outcome = await api.open(current)
            if own_key or not _may_succeed_again(outcome):
                return current, outcome
            attempt += 1
            # A dry run that passed is ABORTED too: the next one of the same files must not try the keys of all before.
            suffix = secrets.token_hex(8) if request.publish == DRY_RUN else attempt
            current = replace(request, key=f"{request.key}-{suffix}")

    async def _send(self, api: BatchApi, batch_id: str, stored: set[int]) -> tuple[int, int]:
        """Send the parts that are not stored; return the number of all parts, and of their prices."""
        parts = size = 0
        split_files = split(self._files, self._part_rows)
        slots = asyncio.Semaphore(self._max_requests)
        is_warned = False
        self._update_status(batch_id)

        async def send(part: Part) -> None:
            nonlocal is_warned
            try:
                problem = await api.append(batch_id, part)
            finally:
                slots.release()
            self._transfer.add_sent(part)
            self._update_status(batch_id)
            if problem and not is_warned:
                is_warned = True
                self._progress.note(f"{problem} Continuing, to find all invalid items; Ctrl-C stops.")

        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await slots.acquire()  # before the part is read: this bounds the parts in memory
                    part = await asyncio.to_thread(_next, split_files)
                    if part is None:
                        break
                    parts += 1
                    size += part.prices
                    if part.sequence in stored:
                        slots.release()
                        self._transfer.add_skipped(part)
                        self._update_status(batch_id)
                    else:
                        self._transfer.start()
                        group.create_task(send(part))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return parts, size

    def _update_status(self, batch_id: str) -> None:
        transfer = self._transfer
        self.status = f"{transfer.rows:,} rows of batch {batch_id} are stored"
        self._progress.update(transfer.read_bytes, transfer.file_bytes, str(transfer))

    def _wait_for_publication(self, batch_id: str) -> None:
        self.status = f"Batch {batch_id} is being published"
        self._progress.wait_for("publishing")

    async def _commit(self, api: BatchApi, batch_id: str, parts: int, size: int) -> Outcome:
        interval = FIRST_POLL_INTERVAL_SECONDS
        while (outcome := await api.commit(batch_id, parts, size)).state == "OPEN":
            interval = await _pause(interval)  # another request is committing, perhaps one that was interrupted
        return outcome

    async def _wait_until_sealed(self, api: BatchApi, batch_id: str) -> None:
        interval = FIRST_POLL_INTERVAL_SECONDS
        while (await api.get(batch_id))["state"] == "SEALING":
            interval = await _pause(interval)


def _next(parts: Iterator[Part]) -> Part | None:
    return next(parts, None)


def _may_succeed_again(outcome: Outcome) -> bool:
    """Whether a batch failed that may succeed now. One with invalid items cannot."""
    return outcome.state in {"ABORTED", "REJECTED"} or (outcome.state == "FAILED" and not outcome.batch["errorCount"])


async def _pause(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return min(1.5 * seconds, MAX_POLL_INTERVAL_SECONDS)
