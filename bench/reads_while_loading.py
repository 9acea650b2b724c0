"""The p99 of point queries while the same process takes in 221,702 rows, over its p99 when idle.

And while another process takes them in: what is left of it then is waiting for a core that the members of the replica
set have, and for MongoDB. How late the clients themselves are tells how long anybody waits for a core.
"""

import time

from bench.environment import Place
from bench.point_load import PointLoad
from bench.prices import at_version, prices, publish_body
from bench.report import Figure, Report
from bench.servers import Server

ROWS = 221_702
SKUS = 50_000
IDLE_SECONDS = 5.0

# A moderate, steady load of eight connections: the question is how long one waits, not how many there are.
PAUSE = 0.02


def run(place: Place, report: Report) -> None:
    with place.server(metered=True) as server, place.server() as other:
        _run(server, other, report)


def _run(server: Server, other: Server, report: Report) -> None:
    server.create("bench-reads")
    server.create("bench-load")
    server.post(publish_body("bench-reads", "base", at_version(1, SKUS)))
    body = publish_body("bench-load", "load", prices(ROWS))
    for _ in ("to warm", "to measure"):
        with PointLoad(server, "bench-reads", SKUS, PAUSE) as load:
            time.sleep(IDLE_SECONDS)
            idle = load.stop()
    with PointLoad(server, "bench-reads", SKUS, PAUSE) as load:
        started = time.perf_counter()
        server.post(body)
        took = time.perf_counter() - started
        busy = load.stop()
    with PointLoad(server, "bench-reads", SKUS, PAUSE) as load:
        other.post(publish_body("bench-load", "load elsewhere", prices(ROWS)))
        elsewhere = load.stop()
    report.add(Figure("reads while loading", f"{ROWS:,} rows taken in", took, "s"))
    for state, seen in (("idle", idle), ("loading", busy), ("another process loading", elsewhere)):
        for percentile in ("p50", "p99"):
            report.add(Figure("reads while loading", f"{percentile} {state}", 1000 * seen[percentile], "ms"))
        report.add(Figure("reads while loading", f"p99 {state}: the client itself late", 1000 * seen["late_p99"], "ms"))
    report.add(Figure("reads while loading", "p99 loading / idle", busy["p99"] / idle["p99"], "", 5))
