"""50,000 prices in random order: in one request, as a file, and in ten parallel parts, each against `insert_many`.

Measures the time from the request until the first query that returns a new price, the server's CPU, and that of the
members of the replica set. The server runs on one core, and free. The baseline inserts the same prices with PyMongo,
one document a price. Compares interleaved rounds: medians of times, and sums of CPU. The CPU that idle members use in
the same time, for heartbeats and change streams, is not counted.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from pymongo import MongoClient

from bench.bare_inserts import documents, insert
from bench.environment import Environment
from bench.members import Members
from bench.prices import prices, publish_body, publish_file, shuffled
from bench.report import Figure, Report
from bench.servers import Server

COUNT = 50_000
ROUNDS = 5
PARTS = 10
LARGEST_BODY_BYTES = 60 * 2**20

IDLE_SECONDS = 3

SETTLE_SECONDS = 0.3
"""Time after a batch for the members that apply it last, whose CPU counts as well."""

VISIBLE_TIMEOUT_SECONDS = 60

MAX_RATIO = 0.6
MAX_SERVER_CPU_SECONDS = 0.6
MAX_MEMBERS_CPU_RATIO = 0.1
MAX_BLOCK_MILLISECONDS = 10

OPEN = "mutation($input: OpenBatchInput!) { openBatch(input: $input) { batch { id } userErrors { code message } } }"
APPEND = "mutation($input: AppendBatchInput!) { appendBatch(input: $input) { userErrors { code message } } }"
COMMIT = """mutation($input: CommitBatchInput!) {
  commitBatch(input: $input) { batch { state } userErrors { code message } }
}"""
PRICE = "query($list: ID!, $sku: ID!) { snapshot(priceList: $list) { price(sku: $sku) { amount } } }"

Rows = Sequence[dict[str, Any]]
Send = Callable[[], None]
Prepare = Callable[[Server, str, str, Rows], Send]
"""Prepares the requests of a batch for a list, by its idempotency key, and returns the function that sends them."""


@dataclass(slots=True)
class Measured:
    """Seconds, and CPU seconds of the server and of the members, of each round."""

    seconds: list[float] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)
    members_cpu: list[float] = field(default_factory=list)


def run(environment: Environment, report: Report) -> None:
    members = Members(environment.mongodb_uri)
    with ExitStack() as stack:
        servers = {
            "one core": stack.enter_context(environment.server(cores={max(os.sched_getaffinity(0))})),
            "free": stack.enter_context(environment.server()),
        }
        idle = members.measure_idle(environment.seconds(IDLE_SECONDS))
        bare, batches = _rounds(environment, members, servers)
    baseline = median(bare.seconds)
    report.add(Figure("batches", "CPU of idle members per second, not counted below", idle, "s"))
    report.add(Figure("batches", f"bare insert_many of {COUNT:,}", baseline, "s"))
    report.add(Figure("batches", "bare insert_many: members' CPU", median(bare.members_cpu), "s"))
    for name, measured in batches.items():
        seconds, server_cpu = median(measured.seconds), median(measured.server_cpu)
        members_ratio = sum(measured.members_cpu) / sum(bare.members_cpu)
        report.add(Figure("batches", f"{name}: until a query returns it", seconds, "s"))
        report.add(Figure("batches", f"{name} / bare", seconds / baseline, "", MAX_RATIO))
        report.add(Figure("batches", f"{name}: server CPU", server_cpu, "s", MAX_SERVER_CPU_SECONDS))
        report.add(Figure("batches", f"{name}: members' CPU / bare", members_ratio, "", MAX_MEMBERS_CPU_RATIO))
    with environment.server(metered=True) as server:
        _measure_blocks(environment, server, report)


def _rounds(
    environment: Environment, members: Members, servers: dict[str, Server]
) -> tuple[Measured, dict[str, Measured]]:
    """Return what was measured of the baseline, and of each mode on each server."""
    bare, batches = Measured(), {f"{mode}, {name}": Measured() for mode in MODES for name in servers}
    for server in servers.values():
        for mode in MODES:
            server.create(_list_name(mode, server))
    with MongoClient[dict[str, Any]](environment.mongodb_uri) as client:
        for round_ in range(environment.repeats(ROUNDS)):
            rows = shuffled(environment.rows(COUNT), round_)
            before = members.cpu_seconds()
            bare.seconds.append(insert(client, documents(rows)))
            time.sleep(SETTLE_SECONDS)
            bare.members_cpu.append(members.cpu_seconds() - before)
            for mode, prepare in MODES.items():
                for name, server in reversed(servers.items()) if round_ % 2 else servers.items():
                    send = prepare(server, _list_name(mode, server), f"{round_}", rows)
                    _measure(batches[f"{mode}, {name}"], members, server, _list_name(mode, server), send, rows[0])
    return bare, batches


def _list_name(mode: str, server: Server) -> str:
    """Return the list of a mode and a server: a server follows the lists that it has served."""
    return f"{mode.replace(' ', '-')}-{server.address.rpartition(':')[2]}"


def _measure(measured: Measured, members: Members, server: Server, name: str, send: Send, row: dict[str, Any]) -> None:
    query = json.dumps({"query": PRICE, "variables": {"list": name, "sku": row["sku"]}}).encode()
    members_before, server_before, started = members.cpu_seconds(), server.cpu_seconds(), time.perf_counter()
    send()
    while server.post(query)["price"] != {"amount": row["amount"]}:
        if time.perf_counter() - started > VISIBLE_TIMEOUT_SECONDS:
            raise AssertionError(f"{name} does not return the new prices.")
    measured.seconds.append(time.perf_counter() - started)
    measured.server_cpu.append(server.cpu_seconds() - server_before)
    time.sleep(SETTLE_SECONDS)
    measured.members_cpu.append(members.cpu_seconds() - members_before)


def _measure_blocks(environment: Environment, server: Server, report: Report) -> None:
    """Measure how long the event loop is blocked at most: by each mode, and by the largest body."""
    rows = shuffled(environment.rows(COUNT), ROUNDS)
    for mode, prepare in MODES.items():
        server.create(_list_name(mode, server))
        send = prepare(server, _list_name(mode, server), "blocks", rows)
        _report_block(server, report, mode, send)
    row_bytes = len(json.dumps(prices(1)[0])) + 2
    body = publish_body(
        _list_name("prices", server), "largest", prices(environment.rows(LARGEST_BODY_BYTES // row_bytes))
    )
    started = time.perf_counter()
    _report_block(server, report, f"a body of {len(body) >> 20} MiB", lambda: _check(server.post(body)))
    report.add(Figure("batches", "the same body: until the response", time.perf_counter() - started, "s"))


def _report_block(server: Server, report: Report, name: str, send: Send) -> None:
    server.longest_block()
    send()
    milliseconds = 1000 * server.longest_block()
    report.add(
        Figure("batches", f"{name}: longest block of the event loop", milliseconds, "ms", MAX_BLOCK_MILLISECONDS)
    )


def _in_one_request(server: Server, name: str, key: str, rows: Rows) -> Send:
    body = publish_body(name, key, rows)
    return lambda: _check(server.post(body))


def _as_file(server: Server, name: str, key: str, rows: Rows) -> Send:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return lambda: _check(server.upload(publish_file(name, key), "prices.ndjson", content))


def _in_parts(server: Server, name: str, key: str, rows: Rows) -> Send:
    parts = [json.dumps(rows[number::PARTS]) for number in range(PARTS)]

    def send() -> None:
        batch = _call(server, OPEN, {"priceList": name, "mode": "REPLACE", "idempotencyKey": key})["batch"]["id"]

        def append(part: int) -> None:
            query = json.dumps({"query": APPEND})[:-1]
            input_ = f'{{"batch": "{batch}", "sequence": {part}, "prices": {parts[part]}}}'
            server.post(f'{query}, "variables": {{"input": {input_}}}}}'.encode())

        with ThreadPoolExecutor(PARTS) as pool:
            list(pool.map(append, range(PARTS)))
        _check(_call(server, COMMIT, {"batch": batch, "parts": PARTS, "size": len(rows)}))

    return send


MODES: dict[str, Prepare] = {"prices": _in_one_request, "file": _as_file, f"{PARTS} parallel parts": _in_parts}


def _call(server: Server, query: str, input_: dict[str, Any]) -> dict[str, Any]:
    return server.post(json.dumps({"query": query, "variables": {"input": input_}}).encode())


def _check(payload: dict[str, Any]) -> None:
    if payload["batch"]["state"] != "PUBLISHED":
        raise AssertionError(payload)
