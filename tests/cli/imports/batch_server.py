"""The API as an import meets it, in memory: batches by idempotency key, with the parts that were stored."""

import asyncio
import csv
import gzip
import io
import re
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

Json = dict[str, Any]


@dataclass
class Batch:
    """A batch, and what was sent for it."""

    id: str
    sent: Json
    state: str = "OPEN"
    parts: dict[int, bytes | list[str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    committed: Json | None = None

    @property
    def rows(self) -> list[list[str]]:
        """The rows of all its files, in order: the values of a CSV's, the line of an NDJSON's."""
        files = [(self.names[number], part) for number, part in sorted(self.parts.items()) if isinstance(part, bytes)]
        return [row for name, file in files for row in _rows(name, file.decode())]


class BatchServer:
    """A handler of `httpx.MockTransport`.

    `faults` are what the next requests get instead of an answer, by the operation's name; `outcome` is what
    committed batches become, and `finishing` how many looks at them it takes.
    """

    def __init__(self) -> None:
        self.lists = {"eu"}
        self.batches: dict[str, Batch] = {}
        self.faults: dict[str, list[httpx.Response | Exception]] = {}
        self.outcome: Json = {"state": "PUBLISHED"}
        self.user_errors: list[Json] = []
        self.bad_sequences: set[int] = set()
        self.finishing = 0
        self.served: list[Json | None] = [None]
        self.asked: Counter[str] = Counter()
        self.appended: list[int] = []
        self.headers: httpx.Headers = httpx.Headers()
        self.token: str | None = None
        self.interrupt_after: int | None = None
        self.interrupt_on_look = False
        self.under_way = self.most_under_way = 0
        self.gather = 0
        self._gathered = asyncio.Event()

    @property
    def batch(self) -> Batch:
        """The newest batch."""
        return list(self.batches.values())[-1]

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        operation, file = read(await request.aread(), request.headers["content-type"])
        name = re.findall(r"(?:query|mutation) (\w+)", operation["query"])[0].lower()
        self.asked[name] += 1
        self.headers = request.headers
        if self.faults.get(name):
            fault = self.faults[name].pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        variables = operation["variables"]
        if name == "append":
            return await self._append(variables["input"], file)
        if name == "look":
            return self._look(variables["id"])
        return {"create": self._create, "open": self._open, "commit": self._commit}[name](variables["input"])

    def _create(self, sent: Json) -> httpx.Response:
        exists = sent["name"] in self.lists
        self.lists.add(sent["name"])
        return answer(createPriceList={"userErrors": [error("PRICE_LIST_EXISTS")] if exists else []})

    def _open(self, sent: Json) -> httpx.Response:
        if sent["priceList"] not in self.lists:
            return answer(openBatch={"batch": None, "snapshot": None, "userErrors": [error("PRICE_LIST_NOT_FOUND")]})
        batch = self.batches.setdefault(sent["idempotencyKey"], Batch(f"b{len(self.batches) + 1}", sent))
        return answer(openBatch=self._payload(batch))

    async def _append(self, sent: Json, file: tuple[str, bytes] | None) -> httpx.Response:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if self.under_way >= self.gather:
            self._gathered.set()
        await asyncio.wait_for(self._gathered.wait(), 10)
        self.under_way -= 1
        batch = self._by_id(sent["batch"])
        part: bytes | list[str]
        if file is None:
            part = sent["remove"]
        else:
            part = gzip.decompress(file[1])
            batch.names[sent["sequence"]] = file[0]
        if batch.parts.setdefault(sent["sequence"], part) != part:
            return answer(appendBatch={"batch": None, "userErrors": [error("SEQUENCE_REUSED")]})
        self.appended.append(sent["sequence"])
        if self.interrupt_after == len(self.appended):
            self.interrupt_after = None
            signal.raise_signal(signal.SIGINT)
        errors = [error("BATCH_INVALID")] if sent["sequence"] in self.bad_sequences else []
        return answer(appendBatch={"batch": {"id": batch.id, "state": "OPEN"}, "userErrors": errors})

    def _commit(self, sent: Json) -> httpx.Response:
        batch = self._by_id(sent["batch"])
        batch.committed = sent
        assert sorted(batch.parts) == list(range(sent["parts"]))
        assert len(batch.rows) == sent["size"]
        batch.state = "SEALING" if self.finishing else self.outcome["state"]
        return answer(commitBatch=self._payload(batch))

    def _look(self, batch_id: str) -> httpx.Response:
        if self.interrupt_on_look:
            signal.raise_signal(signal.SIGINT)
        batch = self._by_id(batch_id)
        self.finishing = max(0, self.finishing - 1)
        if batch.state == "SEALING" and not self.finishing:
            batch.state = self.outcome["state"]
        return answer(batch=self._whole(batch))

    def _payload(self, batch: Batch) -> Json:
        finished = batch.state not in {"OPEN", "SEALING"}
        whole = self._whole(batch)
        return {
            "batch": {**whole, "sequences": sorted(batch.parts)},
            "snapshot": {"version": 7, "size": 50_000} if whole["version"] else None,
            "userErrors": self.user_errors if finished else [],
        }

    def _whole(self, batch: Batch) -> Json:
        finished = batch.state not in {"OPEN", "SEALING"}
        if batch.state == "PUBLISHED" and len(self.served) > 1:
            self.served.pop(0)
        return {
            "id": batch.id,
            "priceList": batch.sent["priceList"],
            "mode": batch.sent["mode"],
            "version": 7 if batch.state in {"PUBLISHED", "HELD"} else None,
            "checksum": None,
            "label": batch.sent["label"],
            "errorCount": 0,
            "progress": {"received": 0, "stored": 0, "expected": None},
            "errors": [],
            "findings": [],
            "summary": None,
            "served": self.served[0],
            **(self.outcome if finished else {}),
            "state": batch.state,
        }

    def _by_id(self, batch_id: str) -> Batch:
        return next(batch for batch in self.batches.values() if batch.id == batch_id)


def _rows(name: str, file: str) -> list[list[str]]:
    if name.endswith(".csv.gz"):
        return list(csv.reader(io.StringIO(file, newline="")))[1:]
    return [[line] for line in file.splitlines()]


def answer(**data: object) -> httpx.Response:
    return httpx.Response(200, json={"data": data})


def error(code: str) -> Json:
    return {"code": code, "message": "Read the manual.", "path": None}


def read(body: bytes, content_type: str) -> tuple[Json, tuple[str, bytes] | None]:
    """Return the operation of a request and the file's name and content, by the multipart request specification."""
    if content_type == "application/json":
        return msgspec.json.decode(body), None
    media_type, _, boundary = content_type.partition("; boundary=")
    assert media_type == "multipart/form-data"
    parts = [part.partition(b"\r\n\r\n")[::2] for part in body.split(b"--" + boundary.encode())[1:-1]]
    (operations, operation), (map_head, mapped), (file_head, file) = parts
    assert b'name="operations"' in operations
    assert b'name="map"' in map_head
    assert b'name="0"' in file_head
    assert msgspec.json.decode(mapped) == {"0": ["variables.input.file"]}
    read_operation = msgspec.json.decode(operation)
    assert read_operation["variables"]["input"]["file"] is None
    name = re.findall(rb'filename="([^"]+)"', file_head)[0].decode()
    return read_operation, (name, file.removesuffix(b"\r\n"))
