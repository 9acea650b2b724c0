"""The p99 of point queries while the same process receives batches of 221,702 rows, divided by its p99 when idle.

Also while another process receives the batches: then the queries only wait for MongoDB and for cores that the members
of the replica set use. How late the clients themselves resume shows how long any process waits for a core.
"""

import time
from typing import Any

from bench.environment import Environment
from bench.point_load import PointLoad
from bench.prices import at_version, publish_body, shuffled
from bench.report import Figure, Report
from bench.servers import Server

ROWS = 221_702
BATCHES = 3
SKUS = 50_000
IDLE_SECONDS = 5

MAX_RATIO = 4

PAUSE_SECONDS = 0.02
"""Pause of each of eight connections between two queries: a moderate, steady load, to measure latency."""


def run(environment: Environment, report: Report) -> None:
    skus, rows, idle_seconds = environment.rows(SKUS), environment.rows(ROWS), environment.seconds(IDLE_SECONDS)
    batches = [shuffled(rows, version) for version in range(environment.repeats(BATCHES))]
    with environment.server() as server, environment.server() as other:
        server.create("bench-reads")
        server.post(publish_body("bench-reads", "base", at_version(1, skus)))
        for _ in ("to warm", "to measure"):
            with _load(server, skus) as load:
                time.sleep(idle_seconds)
                results = {"idle": load.stop()}
        for state, receiver in {"loading": server, "another process loading": other}.items():
            name = f"bench-{state.replace(' ', '-')}"
            receiver.create(name)
            bodies = [publish_body(name, f"{number}", batch) for number, batch in enumerate(batches)]
            with _load(server, skus) as load:
                started = time.perf_counter()
                for body in bodies:
                    receiver.post(body)
                seconds = (time.perf_counter() - started) / len(bodies)
                results[state] = load.stop()
            report.add(Figure("reads while loading", f"{state}: {ROWS:,} rows received", seconds, "s"))
    _report(report, results)


def _load(server: Server, skus: int) -> PointLoad:
    return PointLoad(server, "bench-reads", skus, PAUSE_SECONDS)


def _report(report: Report, results: dict[str, dict[str, Any]]) -> None:
    for state, result in results.items():
        for percentile in ("p50", "p99"):
            report.add(Figure("reads while loading", f"{percentile} {state}", 1000 * result[percentile], "ms"))
        late = 1000 * result["late_p99"]
        report.add(Figure("reads while loading", f"p99 {state}: delay of the client itself", late, "ms"))
    ratio = results["loading"]["p99"] / results["idle"]["p99"]
    report.add(Figure("reads while loading", "p99 loading / idle", ratio, "", MAX_RATIO))
