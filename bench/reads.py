"""Reads with and without each cache, as shares of two limits that are measured in the same run.

The limits are a constant of the same size from plain Starlette under the same uvicorn, and PyMongo reading the same
keys. A share is the server CPU per request of the limit divided by that of Pricebook: unlike throughput, it does not
depend on how much of the machine the load generator needs. 50,000 prices with attributes; requests in random order.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pymongo import MongoClient

from bench.drivers import LoadResult, Request, drive
from bench.environment import Environment
from bench.measurement import Run
from bench.plot import plot
from bench.prices import prices, publish_body
from bench.processes import Process
from bench.report import Figure, Report
from bench.servers import DATABASE, Server

COUNT = 50_000
HOT = 100
SECONDS = 4
ROUNDS = 1

IDLE_CPU_SECONDS = 0.05
"""A server below this CPU time per second is idle. After its first read it loads a small list in the background."""

FIELDS = "sku amount currency validFrom attributes"
SNAPSHOT = 'snapshot(priceList: "bench-reads")'

POINT = f"query($sku: ID!) {{ {SNAPSHOT} {{ version price(sku: $sku) {{ {FIELDS} }} }} }}"
MULTI = f"query($skus: [ID!]!) {{ {SNAPSHOT} {{ version pricesBySku(skus: $skus) {{ {FIELDS} }} }} }}"
PAGE = f"{{ {SNAPSHOT} {{ version prices(first: 1000) {{ nodes {{ {FIELDS} }} }} }} }}"


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of request with its targets: shares of the constant's limit, or milliseconds of CPU."""

    name: str
    bodies: Callable[[], list[bytes]]
    share_cached: float | None = None
    share_revalidated: float | None = None
    share_of_records: float | None = None
    ms_cached: float | None = None
    ms_of_records: float | None = None


def sku(number: int) -> str:
    return f"SKU-{number:08d}"


def body(query: str, **variables: Any) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


def _multi() -> list[bytes]:
    generator = random.Random(100)
    return [body(MULTI, skus=[sku(generator.randrange(COUNT)) for _ in range(100)]) for _ in range(200)]


WORKLOADS = (
    Workload("point", lambda: [body(POINT, sku=sku(n)) for n in range(COUNT)], 0.6, None, 0.2),
    Workload("point-hot", lambda: [body(POINT, sku=sku(n * COUNT // HOT)) for n in range(HOT)], 0.75, 0.75, 0.2),
    Workload("multi100", _multi, ms_of_records=0.7),
    Workload("page1000", lambda: [body(PAGE)], ms_cached=0.5, ms_of_records=2.5),
)

MODES: dict[str, dict[str, int]] = {
    "response cached": {},
    "revalidated (304)": {},
    "records cached": {"response_cache_bytes": 0},
    "nothing cached": {"response_cache_bytes": 0, "cache_bytes": 0},
    "response cached, 2 workers": {"workers": 2},
    "records cached, 2 workers": {"workers": 2, "response_cache_bytes": 0},
}
"""Settings of Pricebook in each mode."""


def run(environment: Environment, report: Report) -> None:
    with environment.server() as server:
        server.create("bench-reads")
        server.post(publish_body("bench-reads", "base", prices(COUNT)))
    runs: list[Run] = []
    for workload in WORKLOADS:
        bodies = workload.bodies()
        rounds: dict[str, list[Run]] = {}
        for _ in range(ROUNDS):
            limits = (_constant(environment, workload, bodies), _bare(environment, workload))
            for each in (*limits, *(_measure(environment, workload, bodies, mode) for mode in MODES)):
                rounds.setdefault(each.mode, []).append(each)
        medians = {mode: _median(each) for mode, each in rounds.items()}
        _report(report, workload, medians)
        runs += medians.values()
    report.say(f"  plot: {plot(runs)}")


def _measure(environment: Environment, workload: Workload, bodies: Sequence[bytes], mode: str) -> Run:
    with environment.server(MODES[mode]) as server:
        for each in bodies[:: max(1, len(bodies) // 50)]:
            _check(server, each)
        requests: list[Request] = [(None, each) for each in bodies]
        if "response cached" in mode:
            # Fill the cache before the measurement; with two workers, nearly fill both.
            passes = 3 * MODES[mode].get("workers", 1)
            drive(server.url, requests, 1 + passes * len(bodies) // 10_000, in_order=True)
        if mode == "revalidated (304)":
            requests = [(server.send(each).headers["etag"], each) for each in bodies[:HOT]]
        return _drive(server, workload, mode, requests)


def _check(server: Server, each: bytes) -> None:
    response = server.send(each).json()
    if "errors" in response or not response["data"]["snapshot"]:
        raise AssertionError(response)


def _constant(environment: Environment, workload: Workload, bodies: Sequence[bytes]) -> Run:
    with environment.server() as server:
        size = len(server.send(bodies[0]).content)
    command = (sys.executable, "-m", "bench.run_app", "bench.constant:app")
    with environment.other(*command, ready="/readyz", BENCH_CONSTANT_BYTES=str(size)) as server:
        return _drive(server, workload, "constant", [(None, each) for each in bodies])


def _drive(server: Process, workload: Workload, mode: str, requests: Sequence[Request]) -> Run:
    drive(server.url, requests, 1)
    _wait_until_idle(server)
    before = server.cpu_seconds()
    result: LoadResult = drive(server.url, requests, SECONDS)
    cpu = 1e6 * (server.cpu_seconds() - before) / result.responses
    if result.failed:
        raise AssertionError(f"{workload.name}, {mode}: {result.failed} requests failed.")
    return Run(workload.name, mode, cpu, result.rate, result.p50, result.p99)


def _wait_until_idle(server: Process) -> None:
    used = -1.0
    while server.cpu_seconds() - used > IDLE_CPU_SECONDS:
        used = server.cpu_seconds()
        time.sleep(1)


def _bare(environment: Environment, workload: Workload) -> Run:
    with MongoClient[dict[str, Any]](environment.mongodb_uri) as client:
        names = client[DATABASE].list_collection_names(filter={"name": {"$regex": "^layer[.]"}})
        layer = next(name for name in names if client[DATABASE][name].estimated_document_count() == COUNT)
    command = (sys.executable, "-m", "bench.bare_reads", environment.mongodb_uri, layer, workload.name, str(SECONDS))
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Run(workload.name, "PyMongo alone", result["cpu"], result["rate"], result["p50"], result["p99"])


def _median(runs: Sequence[Run]) -> Run:
    def median_of(value: Callable[[Run], float]) -> float:
        return median(map(value, runs))

    first = runs[0]
    return Run(
        first.workload,
        first.mode,
        median_of(lambda run: run.cpu),
        median_of(lambda run: run.rate),
        median_of(lambda run: run.p50),
        median_of(lambda run: run.p99),
    )


def _report(report: Report, workload: Workload, runs: dict[str, Run]) -> None:
    limit, bare = runs["constant"], runs["PyMongo alone"]
    for mode, each in runs.items():
        name = f"{workload.name}, {mode}"
        report.add(Figure("reads", f"{name}: CPU per request", each.cpu, "us"))
        report.add(Figure("reads", f"{name}: responses", each.rate, "/s"))
        report.add(Figure("reads", f"{name}: p50", each.p50, "ms"))
        report.add(Figure("reads", f"{name}: p99", each.p99, "ms"))
        if mode not in ("constant", "PyMongo alone"):
            report.add(Figure("reads", f"{name}: share of PyMongo alone", bare.cpu / each.cpu, ""))
            target = _least_share(workload, mode)
            report.add(Figure("reads", f"{name}: share of the constant", limit.cpu / each.cpu, "", at_least=target))
    for mode, most in (("response cached", workload.ms_cached), ("records cached", workload.ms_of_records)):
        if most is not None:
            report.add(Figure("reads", f"{workload.name}, {mode}: CPU per request", runs[mode].cpu / 1000, "ms", most))


def _least_share(workload: Workload, mode: str) -> float | None:
    return {
        "response cached": workload.share_cached,
        "revalidated (304)": workload.share_revalidated,
        "records cached": workload.share_of_records,
    }.get(mode)
