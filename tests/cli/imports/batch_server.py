"""An in-memory API for imports: batches by idempotency key, with their stored parts."""

import asyncio
import csv
import gzip
import io
import json
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
    """A batch and the parts it received."""

    id: str
    request: Json
    state: str = "OPEN"
    parts: dict[int, bytes | list[str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    committed: Json | None = None

    @property
    def rows(self) -> list[list[str]]:
        """The rows of all files, in order: the values of a CSV row, or the line of NDJSON."""
        files = [(self.names[number], part) for number, part in sorted(self.parts.items()) if isinstance(part, bytes)]
        return [row for name, file in files for row in _rows(name, file.decode())]

    @property
    def skus(self) -> list[str]:
        """The skus of all NDJSON files, in order."""
        return [json.loads(line)["sku"] for (line,) in self.rows]


class BatchServer:
    """A handler for `httpx.MockTransport`.

    `faults` replaces the responses of the next requests, by operation name; `outcome` holds the final fields of
    committed batches, which are SEALING for `sealing_polls` status requests before.
    """

    def __init__(self) -> None:
        self.lists = {"eu"}
        self.releases: dict[str, Json] = {}
        self.batches: dict[str, Batch] = {}
        self.faults: dict[str, list[httpx.Response | Exception]] = {}
        self.outcome: Json = {"state": "PUBLISHED"}
        self.user_errors: list[Json] = []
        self.errors: list[Json] = []
        self.bad_sequences: set[int] = set()
        self.sealing_polls = 0
        self.served: list[Json | None] = [None]
        self.requests: Counter[str] = Counter()
        self.appended: list[int] = []
        self.headers: httpx.Headers = httpx.Headers()
        self.token: str | None = None
        self.interrupt_after: int | None = None
        self.interrupt_on_status = False
        self.concurrent = self.max_concurrent = 0
        self.expected_concurrent = 0
        self._is_concurrent = asyncio.Event()

    @property
    def batch(self) -> Batch:
        """The newest batch."""
        return list(self.batches.values())[-1]

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        operation, file = decode_request(await request.aread(), request.headers["content-type"])
        name = re.findall(r"(?:query|mutation) (\w+)", operation["query"])[0].lower()
        self.requests[name] += 1
        self.headers = request.headers
        if self.faults.get(name):
            fault = self.faults[name].pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        variables = operation["variables"]
        if name == "append":
            return await self._append(variables["input"], file)
        if name == "releasebyid":
            return response(release=self.releases.get(variables["id"]))
        if name == "releasesbyname":
            return self._releases(variables["state"])
        if name == "status":
            return self._status(variables["id"])
        if name == "errors":
            return self._errors(variables["first"], variables["after"])
        return {"create": self._create, "open": self._open, "commit": self._commit}[name](variables["input"])

    def _create(self, request: Json) -> httpx.Response:
        exists = request["name"] in self.lists
        self.lists.add(request["name"])
        return response(createPriceList={"userErrors": [error("PRICE_LIST_EXISTS")] if exists else []})

    def _open(self, request: Json) -> httpx.Response:
        if request["priceList"] not in self.lists:
            return response(openBatch={"batch": None, "snapshot": None, "userErrors": [error("PRICE_LIST_NOT_FOUND")]})
        batch = self.batches.setdefault(request["idempotencyKey"], Batch(f"b{len(self.batches) + 1}", request))
        return response(openBatch=self._payload(batch))

    async def _append(self, request: Json, file: tuple[str, bytes] | None) -> httpx.Response:
        self.concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self.concurrent)
        if self.concurrent >= self.expected_concurrent:
            self._is_concurrent.set()
        await asyncio.wait_for(self._is_concurrent.wait(), 10)
        self.concurrent -= 1
        batch = self._by_id(request["batch"])
        part: bytes | list[str]
        if file is None:
            part = request["remove"]
        else:
            part = gzip.decompress(file[1])
            batch.names[request["sequence"]] = file[0]
        if batch.parts.setdefault(request["sequence"], part) != part:
            return response(appendBatch={"batch": None, "userErrors": [error("SEQUENCE_REUSED")]})
        self.appended.append(request["sequence"])
        if self.interrupt_after == len(self.appended):
            self.interrupt_after = None
            signal.raise_signal(signal.SIGINT)
        errors = [error("BATCH_INVALID")] if request["sequence"] in self.bad_sequences else []
        return response(appendBatch={"batch": {"id": batch.id, "state": "OPEN"}, "userErrors": errors})

    def _commit(self, request: Json) -> httpx.Response:
        batch = self._by_id(request["batch"])
        batch.committed = request
        assert sorted(batch.parts) == list(range(request["parts"]))
        assert len(batch.rows) == request["size"]
        batch.state = "SEALING" if self.sealing_polls else self.outcome["state"]
        return response(commitBatch=self._payload(batch))

    def _releases(self, state: str) -> httpx.Response:
        found = [each for each in self.releases.values() if each["state"] == state]
        return response(releases={"nodes": found, "pageInfo": {"hasNextPage": False, "endCursor": None}})

    def _status(self, batch_id: str) -> httpx.Response:
        if self.interrupt_on_status:
            signal.raise_signal(signal.SIGINT)
        batch = self._by_id(batch_id)
        self.sealing_polls = max(0, self.sealing_polls - 1)
        if batch.state == "SEALING" and not self.sealing_polls:
            batch.state = self.outcome["state"]
        return response(batch=self._batch_fields(batch))

    def _errors(self, first: int, after: str | None) -> httpx.Response:
        start = int(after or 0)
        page = [{**each, "cursor": str(number)} for number, each in enumerate(self.errors, 1)][start : start + first]
        return response(batch={"errors": page})

    def _payload(self, batch: Batch) -> Json:
        is_finished = batch.state not in {"OPEN", "SEALING"}
        fields = self._batch_fields(batch)
        return {
            "batch": {**fields, "sequences": sorted(batch.parts)},
            "snapshot": {"version": 7, "size": 50_000} if fields["version"] else None,
            "userErrors": self.user_errors if is_finished else [],
        }

    def _batch_fields(self, batch: Batch) -> Json:
        is_finished = batch.state not in {"OPEN", "SEALING"}
        if batch.state == "PUBLISHED" and len(self.served) > 1:
            self.served.pop(0)
        return {
            "id": batch.id,
            "priceList": batch.request["priceList"],
            "mode": batch.request["mode"],
            "version": 7 if batch.state in {"PUBLISHED", "HELD"} else None,
            "checksum": None,
            "label": batch.request["label"],
            "publishAt": batch.request.get("publishAt"),
            "release": self.releases.get(batch.request.get("release", "")),
            "errorCount": 0,
            "progress": {"received": 0, "stored": 0, "expected": None},
            "findings": [],
            "summary": None,
            "served": self.served[0],
            **(self.outcome if is_finished else {}),
            "state": batch.state,
        }

    def _by_id(self, batch_id: str) -> Batch:
        return next(batch for batch in self.batches.values() if batch.id == batch_id)


def _rows(name: str, file: str) -> list[list[str]]:
    if name.endswith(".csv.gz"):
        return list(csv.reader(io.StringIO(file, newline="")))[1:]
    return [[line] for line in file.splitlines()]


def response(**data: object) -> httpx.Response:
    return httpx.Response(200, json={"data": data})


def error(code: str) -> Json:
    return {"code": code, "message": "Read the manual.", "path": None}


def decode_request(body: bytes, content_type: str) -> tuple[Json, tuple[str, bytes] | None]:
    """Return the operation, and the name and content of the file of a multipart request."""
    if content_type == "application/json":
        return msgspec.json.decode(body), None
    media_type, _, boundary = content_type.partition("; boundary=")
    assert media_type == "multipart/form-data"
    fields = [field.partition(b"\r\n\r\n")[::2] for field in body.split(b"--" + boundary.encode())[1:-1]]
    (operations, operation), (map_head, mapped), (file_head, file) = fields
    assert b'name="operations"' in operations
    assert b'name="map"' in map_head
    assert b'name="0"' in file_head
    assert msgspec.json.decode(mapped) == {"0": ["variables.input.file"]}
    decoded = msgspec.json.decode(operation)
    assert decoded["variables"]["input"]["file"] is None
    name = re.findall(rb'filename="([^"]+)"', file_head)[0].decode()
    return decoded, (name, file.removesuffix(b"\r\n"))


def invalid(index: int, line: int | None = None, **more: str | None) -> Json:
    item = {"index": index, "line": line, "sku": f"S{index}", "field": "amount", "code": "AMOUNT_NEGATIVE"}
    return {**item, "message": "-1 is negative.", "duplicateOf": None, **more}
