"""The p99 of point queries while the same process receives a batch of 221,702 rows, divided by its p99 when idle.

Also while another process receives the batch: then the queries only wait for MongoDB and for cores that the members of
the replica set use. How late the clients themselves resume shows how long any process waits for a core.
"""

import time

from bench.environment import Environment
from bench.point_load import PointLoad
from bench.prices import at_version, prices, publish_body
from bench.report import Figure, Report
from bench.servers import Server

ROWS = 221_702
SKUS = 50_000
IDLE_SECONDS = 5.0

PAUSE_SECONDS = 0.02
"""Pause of each of eight connections between two queries: a moderate, steady load, to measure latency."""


def run(environment: Environment, report: Report) -> None:
    with environment.server(metered=True) as server, environment.server() as other:
        _run(server, other, report)


def _run(server: Server, other: Server, report: Report) -> None:
    server.create("bench-reads")
    server.create("bench-load")
    server.post(publish_body("bench-reads", "base", at_version(1, SKUS)))
    body = publish_body("bench-load", "load", prices(ROWS))
    for _ in ("to warm", "to measure"):
        with PointLoad(server, "bench-reads", SKUS, PAUSE_SECONDS) as load:
            time.sleep(IDLE_SECONDS)
            idle = load.stop()
    with PointLoad(server, "bench-reads", SKUS, PAUSE_SECONDS) as load:
        started = time.perf_counter()
        server.post(body)
        seconds = time.perf_counter() - started
        busy = load.stop()
    with PointLoad(server, "bench-reads", SKUS, PAUSE_SECONDS) as load:
        other.post(publish_body("bench-load", "load elsewhere", prices(ROWS)))
        elsewhere = load.stop()
    report.add(Figure("reads while loading", f"{ROWS:,} rows received", seconds, "s"))
    for state, result in (("idle", idle), ("loading", busy), ("another process loading", elsewhere)):
        for percentile in ("p50", "p99"):
            report.add(Figure("reads while loading", f"{percentile} {state}", 1000 * result[percentile], "ms"))
        report.add(
            Figure("reads while loading", f"p99 {state}: delay of the client itself", 1000 * result["late_p99"], "ms")
        )
    report.add(Figure("reads while loading", "p99 loading / idle", busy["p99"] / idle["p99"], "", 5))
