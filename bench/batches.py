"""50,000 prices in one request, as a file, and in ten parallel parts, each against a bare `insert_many`.

The baseline is a plain PyMongo client that inserts the same documents at `w: majority, j: true` into a new collection
of the same replica set. Compares the medians of interleaved rounds.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import Any

from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from bench.environment import Environment
from bench.prices import PUBLISH, prices, publish_body
from bench.report import Figure, Report
from bench.servers import DATABASE, Server

Prepare = Callable[[int], Callable[[], None]]
"""Prepares the requests of a round, and returns the function that sends them, which is timed."""

COUNT = 50_000
ROUNDS = 5
PARTS = 10
LARGEST_BODY_BYTES = 60 * 2**20

OPEN = "mutation($input: OpenBatchInput!) { openBatch(input: $input) { batch { id } userErrors { code message } } }"
APPEND = "mutation($input: AppendBatchInput!) { appendBatch(input: $input) { userErrors { code message } } }"
COMMIT = """mutation($input: CommitBatchInput!) {
  commitBatch(input: $input) { batch { state } userErrors { code message } }
}"""


def run(environment: Environment, report: Report) -> None:
    with environment.server(metered=True) as server:
        _run(server, report)


def _run(server: Server, report: Report) -> None:
    rows = prices(COUNT)
    modes: dict[str, Prepare] = {
        "publishBatch(prices)": _in_one(server, rows),
        "publishBatch(file)": _as_file(server, rows),
        f"{PARTS} parallel parts": _in_parts(server, rows),
    }
    for name in ("one", "file", "parts"):
        server.create(f"bench-{name}")
    times: dict[str, list[float]] = {name: [] for name in ("bare insert_many", *modes)}
    blocked: dict[str, float] = dict.fromkeys(modes, 0.0)
    cpu: dict[str, list[float]] = {name: [] for name in modes}
    for round_ in range(ROUNDS):
        times["bare insert_many"].append(_bare(server, rows))
        for name, prepare in modes.items():
            send = prepare(round_)
            server.longest_block()
            started, used = time.perf_counter(), server.cpu_seconds()
            send()
            times[name].append(time.perf_counter() - started)
            cpu[name].append(server.cpu_seconds() - used)
            blocked[name] = max(blocked[name], server.longest_block())
    baseline = median(times["bare insert_many"])
    report.add(Figure("batches", f"bare insert_many of {COUNT:,}", baseline, "s"))
    for name in modes:
        report.add(Figure("batches", name, median(times[name]), "s"))
        report.add(Figure("batches", f"{name} / bare", median(times[name]) / baseline, "", 1.2))
        report.add(Figure("batches", f"{name}: server CPU", median(cpu[name]), "s"))
        report.add(Figure("batches", f"{name}: longest block of the event loop", 1000 * blocked[name], "ms", 100))
    _largest(server, report)


def _largest(server: Server, report: Report) -> None:
    row_bytes = len(json.dumps(prices(1)[0])) + 2
    body = publish_body("bench-one", "largest", prices(LARGEST_BODY_BYTES // row_bytes))
    server.longest_block()
    started = time.perf_counter()
    server.post(body)
    report.add(Figure("batches", f"a body of {len(body) / 2**20:.0f} MiB", time.perf_counter() - started, "s"))
    report.add(Figure("batches", "its longest block of the event loop", 1000 * server.longest_block(), "ms"))


def _bare(server: Server, rows: list[dict[str, Any]]) -> float:
    with MongoClient[dict[str, Any]](server.mongodb_uri) as client:
        database = client.get_database(DATABASE, write_concern=WriteConcern("majority", j=True))
        layers = [name for name in database.list_collection_names() if name.startswith("layer.")]
        stored = next((found for name in layers if (found := _documents_of(database[name], len(rows)))), None)
        documents = stored or [{"_id": row["sku"], **{k: v for k, v in row.items() if k != "sku"}} for row in rows]
        collection = database.create_collection("bare")
        started = time.perf_counter()
        collection.insert_many(documents, ordered=False)
        took = time.perf_counter() - started
        collection.drop()
    return took


def _documents_of(collection: Any, count: int) -> list[dict[str, Any]] | None:
    """Return the documents of a layer if it has `count` of them, and so is one of a batch of this benchmark."""
    return list(collection.find()) if collection.estimated_document_count() == count else None


def _in_one(server: Server, rows: list[dict[str, Any]]) -> Prepare:
    def prepare(round_: int) -> Callable[[], None]:
        body = publish_body("bench-one", f"one-{round_}", rows)
        return lambda: _check(server.post(body))

    return prepare


def _as_file(server: Server, rows: list[dict[str, Any]]) -> Prepare:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()

    def prepare(round_: int) -> Callable[[], None]:
        input_ = {"priceList": "bench-file", "mode": "REPLACE", "idempotencyKey": f"file-{round_}", "file": None}
        operations = {"query": PUBLISH, "variables": {"input": input_}}
        return lambda: _check(server.upload(operations, "prices.ndjson", content))

    return prepare


def _in_parts(server: Server, rows: list[dict[str, Any]]) -> Prepare:
    size = COUNT // PARTS
    parts = [json.dumps(rows[start : start + size]) for start in range(0, COUNT, size)]

    def send(round_: int) -> None:
        opened = _call(
            server, OPEN, {"priceList": "bench-parts", "mode": "REPLACE", "idempotencyKey": f"parts-{round_}"}
        )
        batch = opened["batch"]["id"]

        def append(part: int) -> None:
            query = json.dumps({"query": APPEND})[:-1]
            input_ = f'{{"batch": "{batch}", "sequence": {part}, "prices": {parts[part]}}}'
            server.post(f'{query}, "variables": {{"input": {input_}}}}}'.encode())

        with ThreadPoolExecutor(PARTS) as pool:
            list(pool.map(append, range(PARTS)))
        _check(_call(server, COMMIT, {"batch": batch, "parts": PARTS, "size": COUNT}))

    return lambda round_: partial(send, round_)


def _call(server: Server, query: str, input_: dict[str, Any]) -> dict[str, Any]:
    return server.post(json.dumps({"query": query, "variables": {"input": input_}}).encode())


def _check(payload: dict[str, Any]) -> None:
    if payload["batch"]["state"] != "PUBLISHED":
        raise AssertionError(payload)
