"""50,000 prices in one request, as a file, and in ten parallel parts, each against a bare `insert_many`.

The baseline is a plain PyMongo client that inserts the same documents at `w: majority, j: true` into a new collection
of the same replica set. The ways take turns, and the medians of the rounds are compared.
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

from bench.environment import Place
from bench.prices import PUBLISH, prices, publish_body
from bench.report import Figure, Report
from bench.servers import DATABASE, Server

Way = Callable[[int], Callable[[], None]]
"""Prepares what is sent in a turn; what it returns sends it, and that is what is timed."""

COUNT = 50_000
ROUNDS = 5
PARTS = 10
LARGEST_BODY = 60 * 2**20

OPEN = "mutation($input: OpenBatchInput!) { openBatch(input: $input) { batch { id } userErrors { code message } } }"
APPEND = "mutation($input: AppendBatchInput!) { appendBatch(input: $input) { userErrors { code message } } }"
COMMIT = """mutation($input: CommitBatchInput!) {
  commitBatch(input: $input) { batch { state } userErrors { code message } }
}"""


def run(place: Place, report: Report) -> None:
    with place.server(metered=True) as server:
        _run(server, report)


def _run(server: Server, report: Report) -> None:
    rows = prices(COUNT)
    ways: dict[str, Way] = {
        "publishBatch(prices)": _in_one(server, rows),
        "publishBatch(file)": _as_file(server, rows),
        f"{PARTS} parallel parts": _in_parts(server, rows),
    }
    for name in ("one", "file", "parts"):
        server.create(f"bench-{name}")
    times: dict[str, list[float]] = {name: [] for name in ("bare insert_many", *ways)}
    holds: dict[str, float] = dict.fromkeys(ways, 0.0)
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        times["bare insert_many"].append(_bare(server, rows))
        for name, way in ways.items():
            send = way(turn)
            server.longest_hold()
            started, used = time.perf_counter(), server.cpu_seconds()
            send()
            times[name].append(time.perf_counter() - started)
            cpu[name].append(server.cpu_seconds() - used)
            holds[name] = max(holds[name], server.longest_hold())
    baseline = median(times["bare insert_many"])
    report.add(Figure("batches", f"bare insert_many of {COUNT:,}", baseline, "s"))
    for name in ways:
        report.add(Figure("batches", name, median(times[name]), "s"))
        report.add(Figure("batches", f"{name} / bare", median(times[name]) / baseline, "", 1.2))
        report.add(Figure("batches", f"{name}: server CPU", median(cpu[name]), "s"))
        report.add(Figure("batches", f"{name}: event loop held", 1000 * holds[name], "ms", 100))
    _largest(server, report)


def _largest(server: Server, report: Report) -> None:
    row_bytes = len(json.dumps(prices(1)[0])) + 2
    body = publish_body("bench-one", "largest", prices(LARGEST_BODY // row_bytes))
    server.longest_hold()
    started = time.perf_counter()
    server.post(body)
    report.add(Figure("batches", f"a body of {len(body) / 2**20:.0f} MiB", time.perf_counter() - started, "s"))
    report.add(Figure("batches", "its event loop held", 1000 * server.longest_hold(), "ms"))


def _bare(server: Server, rows: list[dict[str, Any]]) -> float:
    with MongoClient[dict[str, Any]](server.mongodb_uri) as client:
        database = client.get_database(DATABASE, write_concern=WriteConcern("majority", j=True))
        layers = [name for name in database.list_collection_names() if name.startswith("layer.")]
        stored = next((found for name in layers if (found := _same(database[name], len(rows)))), None)
        documents = stored or [{"_id": row["sku"], **{k: v for k, v in row.items() if k != "sku"}} for row in rows]
        collection = database.create_collection("bare")
        started = time.perf_counter()
        collection.insert_many(documents, ordered=False)
        took = time.perf_counter() - started
        collection.drop()
    return took


def _same(collection: Any, count: int) -> list[dict[str, Any]] | None:
    """Return the documents of a layer that has as many as are to be inserted: the very same ones."""
    return list(collection.find()) if collection.estimated_document_count() == count else None


def _in_one(server: Server, rows: list[dict[str, Any]]) -> Way:
    def way(turn: int) -> Callable[[], None]:
        body = publish_body("bench-one", f"one-{turn}", rows)
        return lambda: _check(server.post(body))

    return way


def _as_file(server: Server, rows: list[dict[str, Any]]) -> Way:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()

    def way(turn: int) -> Callable[[], None]:
        given = {"priceList": "bench-file", "mode": "REPLACE", "idempotencyKey": f"file-{turn}", "file": None}
        operations = {"query": PUBLISH, "variables": {"input": given}}
        return lambda: _check(server.upload(operations, "prices.ndjson", content))

    return way


def _in_parts(server: Server, rows: list[dict[str, Any]]) -> Way:
    size = COUNT // PARTS
    cuts = [json.dumps(rows[start : start + size]) for start in range(0, COUNT, size)]

    def send(turn: int) -> None:
        opened = _call(server, OPEN, {"priceList": "bench-parts", "mode": "REPLACE", "idempotencyKey": f"parts-{turn}"})
        batch = opened["batch"]["id"]

        def append(sequence: int) -> None:
            head = json.dumps({"query": APPEND})[:-1]
            given = f'{{"batch": "{batch}", "sequence": {sequence}, "prices": {cuts[sequence]}}}'
            server.post(f'{head}, "variables": {{"input": {given}}}}}'.encode())

        with ThreadPoolExecutor(PARTS) as pool:
            list(pool.map(append, range(PARTS)))
        _check(_call(server, COMMIT, {"batch": batch, "parts": PARTS, "size": COUNT}))

    return lambda turn: partial(send, turn)


def _call(server: Server, query: str, given: dict[str, Any]) -> dict[str, Any]:
    return server.post(json.dumps({"query": query, "variables": {"input": given}}).encode())


def _check(payload: dict[str, Any]) -> None:
    if payload["batch"]["state"] != "PUBLISHED":
        raise AssertionError(payload)
