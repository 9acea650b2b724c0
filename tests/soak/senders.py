"""Senders of batches: merges and replacements in every form, approvals, conflicts and mistakes.

A sender repeats a request with its idempotency key until it knows the outcome, and only then sends the next.
"""

import asyncio
import gzip
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.soak.client import LOST, RETRYABLE, Client, Record, Refusal
from tests.soak.model import Change, ListModel, places, row, sku

PAYLOAD = "{ batch { id state version } userErrors { code message } }"
PUBLISH = f"mutation ($input: PublishBatchInput!) {{ publishBatch(input: $input) {PAYLOAD} }}"
OPEN = f"mutation ($input: OpenBatchInput!) {{ openBatch(input: $input) {PAYLOAD} }}"
APPEND = f"mutation ($input: AppendBatchInput!) {{ appendBatch(input: $input) {PAYLOAD} }}"
COMMIT = f"mutation ($input: CommitBatchInput!) {{ commitBatch(input: $input) {PAYLOAD} }}"
ABORT = f"mutation ($input: AbortBatchInput!) {{ abortBatch(input: $input) {PAYLOAD} }}"
BATCH = "query ($id: ID!) { batch(id: $id) { id state version } }"
SEEN = "query ($list: ID!) { snapshot(priceList: $list) { version } }"

PART_ROWS = 5_000
FINAL = ("PUBLISHED", "HELD", "REJECTED", "ABORTED", "FAILED")


@dataclass(frozen=True)
class Load:
    """Batches that a sender sends to a list: rows of a merge at most, share of replacements, pause in seconds."""

    rows: int
    replacements: float
    pause: float


class Sender:
    """Sends one batch after the other to a list, until it is stopped."""

    def __init__(
        self, client: Client, found: ListModel, load: Load, numbers: "itertools.count[int]", record: Record, run: str
    ) -> None:
        self._client = client
        self._random = client.random
        self._list = found
        self._load = load
        self._numbers = numbers
        self._record = record
        self._run = run

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until stopped; a batch that was begun is completed."""
        while not stopping.is_set():
            if self._random.random() < self._load.replacements:
                await self.replace(1.0 if self._random.random() < 0.8 else 0.5)
            else:
                await self._merge()
            await asyncio.sleep(self._random.uniform(0, 2 * self._load.pause))

    async def replace(self, share: float = 1.0) -> None:
        """Replace the list: most prices stay, some change, and if `share` is less than 1 only that share remains."""
        number = next(self._numbers)
        known = self._list.versions.get(self._list.current or 0)
        content = known[:] if known else [0] * self._list.skus
        for place in range(len(content)):
            if not content[place] or self._random.random() < 0.1:
                content[place] = number if self._random.random() < 0.97 else 0
            if self._random.random() >= share:
                content[place] = 0
        rows = [row(content[place], place) for place in places(content)]
        forms = [self._as_file, self._in_parts] if len(rows) > 5_000 else [self._as_json, self._as_file, self._in_parts]
        await self._send(self._random.choice(forms), "REPLACE", number, rows, Change(content))

    async def _merge(self) -> None:
        number = next(self._numbers)
        count = self._random.randrange(1, self._load.rows + 1) if self._random.random() < 0.5 else 3
        chosen = self._random.sample(range(self._list.skus), min(count, self._list.skus))
        removed = set(chosen[1 :: self._random.choice((2, 5, 1_000_000))])
        rows = [row(number, place) for place in chosen if place not in removed]
        change = Change(numbers={place: 0 if place in removed else number for place in chosen})
        form = self._random.choice((self._as_json, self._as_json, self._as_file, self._in_parts))
        await self._send(form, "MERGE", number, rows, change, sorted(sku(place) for place in removed))

    async def _send(
        self,
        form: Callable[..., Awaitable[Any]],
        mode: str,
        number: int,
        rows: Sequence[dict[str, str]],
        change: Change,
        removed: Sequence[str] = (),
    ) -> None:
        """Send a batch, repeat it until its outcome is known, and record what it does."""
        fields: dict[str, Any] = {"priceList": self._list.name, "mode": mode, "idempotencyKey": f"{self._run}-{number}"}
        chance = self._random.random()
        if chance < 0.15:
            fields["publish"] = "ON_APPROVAL"
        elif chance < 0.2:
            fields["publish"] = "DRY_RUN"
        elif chance < 0.3 and self._list.current:
            fields["expectedVersion"] = self._list.current
        elif chance < 0.33:
            rows = [*rows, {**row(number, 0), "sku": "bad", "amount": "-1"}]
        kind = f"{mode.lower()} {form.__name__.strip('_')}"
        batch = await self._until_final(kind, form, fields, rows, removed)
        if batch is None:
            return
        state, version = batch["state"], batch["version"]
        self._record.answers[f"{kind} {state}"] += 1
        self._list.add_batch(batch["id"], change, version if state == "HELD" else None)
        if state == "PUBLISHED":
            self._record.acknowledged.append((self._list.name, batch["id"], version))
            await self._read_own(version)

    async def _until_final(self, kind: str, form: Callable[..., Awaitable[Any]], *batch: Any) -> Any:
        """Return a batch in its final state; None if it was refused before it was opened."""
        while True:
            self._client.switch()
            try:
                payload = await form(*batch)
            except Refusal as refusal:
                self._record.refuse(kind, refusal)
                if refusal.code not in {LOST, *RETRYABLE}:
                    raise
                await asyncio.sleep(0.3)
                continue
            for error in payload["userErrors"]:
                self._record.refuse(kind, Refusal(error["code"], error["message"]))
            found = payload["batch"]
            is_refused = found is None and any(error["code"] == "CONFLICT" for error in payload["userErrors"])
            if is_refused or (found and found["state"] in FINAL):
                return found
            await asyncio.sleep(1.0 if found is None else 0.2)

    async def _as_json(self, fields: dict[str, Any], rows: Sequence[Any], removed: Sequence[str]) -> Any:
        more = {"remove": removed} if removed else {}
        return await self._client.send(PUBLISH, {"input": {**fields, "prices": rows, **more}})

    async def _as_file(self, fields: dict[str, Any], rows: Sequence[Any], removed: Sequence[str]) -> Any:
        more = {"remove": removed} if removed else {}
        name, content = _file(rows, int(fields["idempotencyKey"].rpartition("-")[2]))
        return await self._client.send(PUBLISH, {"input": {**fields, "file": None, **more}}, (name, content))

    async def _in_parts(self, fields: dict[str, Any], rows: Sequence[Any], removed: Sequence[str]) -> Any:
        opened = await self._client.send(OPEN, {"input": fields})
        batch = opened["batch"]
        if batch is None or batch["state"] in FINAL:
            return opened
        if batch["state"] == "OPEN":
            parts = [rows[start : start + PART_ROWS] for start in range(0, len(rows), PART_ROWS)] or [[]]
            for sequence, part in enumerate(parts):
                more = {"remove": removed} if removed and not sequence else {}
                body = {"input": {"batch": batch["id"], "sequence": sequence, "prices": part, **more}}
                self._client.switch()
                appended = await self._client.send(APPEND, body)
                if any(error["code"] != "BATCH_INVALID" for error in appended["userErrors"]):
                    return appended
            if len(rows) % 17 == 0:
                return await self._client.send(ABORT, {"input": {"batch": batch["id"], "reason": "soak"}})
            commit = {"batch": batch["id"], "parts": len(parts), "size": len(rows)}
            return await self._client.send(COMMIT, {"input": commit})
        return {"batch": await self._client.send(BATCH, {"id": batch["id"]}), "userErrors": []}

    async def _read_own(self, version: int) -> None:
        """Ask any process for at least the version that was published; a rollback may be answered, nothing older."""
        self._client.switch()
        try:
            least = f"{self._list.name}={version}"
            answer = await self._client.send(SEEN, {"list": self._list.name}, min_version=least)
        except Refusal as refusal:
            self._record.refuse("read own publish", refusal)
            return
        position = await self._list.follow(version, 0)
        await self._list.follow(answer["version"], position)
        self._record.answers["read own publish"] += 1


def _file(rows: Sequence[dict[str, str]], number: int) -> tuple[str, bytes]:
    """Return a file of rows, in a format that depends on the number."""
    if number % 3 == 0:
        lines = ["sku,amount,currency", *(f"{each['sku']},{each['amount']},{each['currency']}" for each in rows)]
        return "prices.csv", "\n".join(lines).encode()
    content = "\n".join(map(json.dumps, rows)).encode()
    return ("prices.ndjson", content) if number % 3 == 1 else ("prices.ndjson.gz", gzip.compress(content, mtime=0))
