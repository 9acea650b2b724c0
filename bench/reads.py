"""Reading, with each cache and without, as shares of two limits that are measured in the same run.

The limits are a constant of the same size from plain Starlette under the same uvicorn, and PyMongo reading the same
keys. A share is the server CPU that the limit takes for a request over that which Pricebook takes: unlike throughput it
does not depend on how much of the machine the load generator needs. 50,000 prices with attributes; the requests of a
run are chosen by chance.
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

from bench.drivers import Drive, Request, drive
from bench.environment import Place
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

# A server that was read for the first time loads a small list in the background. It rests when it takes less of a core.
AT_REST = 0.05

FIELDS = "sku amount currency validFrom attributes"
SNAPSHOT = 'snapshot(priceList: "bench-reads")'

POINT = f"query($sku: ID!) {{ {SNAPSHOT} {{ version price(sku: $sku) {{ {FIELDS} }} }} }}"
MULTI = f"query($skus: [ID!]!) {{ {SNAPSHOT} {{ version pricesBySku(skus: $skus) {{ {FIELDS} }} }} }}"
PAGE = f"{{ {SNAPSHOT} {{ version prices(first: 1000) {{ nodes {{ {FIELDS} }} }} }} }}"


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of request, and what its parts may cost: shares of the constant's limit, or milliseconds of CPU."""

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
    chance = random.Random(100)
    return [body(MULTI, skus=[sku(chance.randrange(COUNT)) for _ in range(100)]) for _ in range(200)]


WORKLOADS = (
    Workload("point", lambda: [body(POINT, sku=sku(n)) for n in range(COUNT)], 0.6, None, 0.2),
    Workload("point-hot", lambda: [body(POINT, sku=sku(n * COUNT // HOT)) for n in range(HOT)], 0.75, 0.75, 0.2),
    Workload("multi100", _multi, ms_of_records=0.7),
    Workload("page1000", lambda: [body(PAGE)], ms_cached=0.5, ms_of_records=2.5),
)

# How Pricebook is started for each way of answering.
WAYS: dict[str, dict[str, int]] = {
    "answer cached": {},
    "revalidated (304)": {},
    "records cached": {"response_cache_bytes": 0},
    "nothing cached": {"response_cache_bytes": 0, "cache_bytes": 0},
    "answer cached, 2 workers": {"workers": 2},
    "records cached, 2 workers": {"workers": 2, "response_cache_bytes": 0},
}


def run(place: Place, report: Report) -> None:
    with place.server() as server:
        server.create("bench-reads")
        server.post(publish_body("bench-reads", "base", prices(COUNT)))
    runs: list[Run] = []
    for workload in WORKLOADS:
        bodies = workload.bodies()
        rounds: dict[str, list[Run]] = {}
        for _ in range(ROUNDS):
            limits = (_constant(place, workload, bodies), _bare(place, workload))
            for each in (*limits, *(_way(place, workload, bodies, way) for way in WAYS)):
                rounds.setdefault(each.way, []).append(each)
        of = {way: _median(each) for way, each in rounds.items()}
        _tell(report, workload, of)
        runs += of.values()
    report.say(f"  plotted in {plot(runs)}")


def _way(place: Place, workload: Workload, bodies: Sequence[bytes], way: str) -> Run:
    with place.server(WAYS[way]) as server:
        for each in bodies[:: max(1, len(bodies) // 50)]:
            _check(server, each)
        requests: list[Request] = [(None, each) for each in bodies]
        if "answer cached" in way:
            # Every answer is there before the clock starts; with two workers nearly every one in both.
            passes = 3 * WAYS[way].get("workers", 1)
            drive(server.url, requests, 1 + passes * len(bodies) // 10_000, in_order=True)
        if way == "revalidated (304)":
            kept = bodies[:HOT]
            requests = [(server.answer(each).headers["etag"], each) for each in kept]
        return _drive(server, workload, way, requests)


def _check(server: Server, each: bytes) -> None:
    answer = server.answer(each).json()
    if "errors" in answer or not answer["data"]["snapshot"]:
        raise AssertionError(answer)


def _constant(place: Place, workload: Workload, bodies: Sequence[bytes]) -> Run:
    with place.server() as server:
        size = len(server.answer(bodies[0]).content)
    command = (sys.executable, "-m", "bench.run_app", "bench.constant:app")
    with place.other(*command, ready="/readyz", BENCH_CONSTANT_BYTES=str(size)) as server:
        return _drive(server, workload, "constant", [(None, each) for each in bodies])


def _drive(server: Process, workload: Workload, way: str, requests: Sequence[Request]) -> Run:
    drive(server.url, requests, 1)
    _let_rest(server)
    before = server.cpu_seconds()
    seen: Drive = drive(server.url, requests, SECONDS)
    cpu = 1e6 * (server.cpu_seconds() - before) / seen.answers
    if seen.failed:
        raise AssertionError(f"{workload.name}, {way}: {seen.failed} requests failed.")
    return Run(workload.name, way, cpu, seen.rate, seen.p50, seen.p99)


def _let_rest(server: Process) -> None:
    used = -1.0
    while server.cpu_seconds() - used > AT_REST:
        used = server.cpu_seconds()
        time.sleep(1)


def _bare(place: Place, workload: Workload) -> Run:
    with MongoClient[dict[str, Any]](place.mongodb_uri) as client:
        names = client[DATABASE].list_collection_names(filter={"name": {"$regex": "^layer[.]"}})
        layer = next(name for name in names if client[DATABASE][name].estimated_document_count() == COUNT)
    command = (sys.executable, "-m", "bench.bare_reads", place.mongodb_uri, layer, workload.name, str(SECONDS))
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Run(workload.name, "PyMongo alone", told["cpu"], told["rate"], told["p50"], told["p99"])


def _median(runs: Sequence[Run]) -> Run:
    def of(value: Callable[[Run], float]) -> float:
        return median(map(value, runs))

    first = runs[0]
    return Run(
        first.workload,
        first.way,
        of(lambda run: run.cpu),
        of(lambda run: run.rate),
        of(lambda run: run.p50),
        of(lambda run: run.p99),
    )


def _tell(report: Report, workload: Workload, of: dict[str, Run]) -> None:
    limit, bare = of["constant"], of["PyMongo alone"]
    for way, each in of.items():
        what = f"{workload.name}, {way}"
        report.add(Figure("reads", f"{what}: CPU a request", each.cpu, "us"))
        report.add(Figure("reads", f"{what}: answers", each.rate, "/s"))
        report.add(Figure("reads", f"{what}: p50", each.p50, "ms"))
        report.add(Figure("reads", f"{what}: p99", each.p99, "ms"))
        if way not in ("constant", "PyMongo alone"):
            report.add(Figure("reads", f"{what}: share of PyMongo alone", bare.cpu / each.cpu, ""))
            least = _least(workload, way)
            report.add(Figure("reads", f"{what}: share of the constant", limit.cpu / each.cpu, "", at_least=least))
    for way, most in (("answer cached", workload.ms_cached), ("records cached", workload.ms_of_records)):
        if most is not None:
            report.add(Figure("reads", f"{workload.name}, {way}: CPU a request", of[way].cpu / 1000, "ms", most))


def _least(workload: Workload, way: str) -> float | None:
    return {
        "answer cached": workload.share_cached,
        "revalidated (304)": workload.share_revalidated,
        "records cached": workload.share_of_records,
    }.get(way)
