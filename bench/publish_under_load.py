"""A new version of 50,000 prices, published under full read load: no wrong answer, and how long one waits meanwhile."""

import time

from bench.environment import Place
from bench.point_load import PointLoad
from bench.prices import at_version, publish_body
from bench.report import Figure, Report
from bench.servers import Server

COUNT = 50_000
SECONDS = 5.0
AROUND = 1.0


def run(place: Place, report: Report) -> None:
    """Publish to the process that is read, and to another one: there the readers share only the database with it."""
    with place.server() as server, place.server() as other:
        server.create("bench-switch")
        server.post(publish_body("bench-switch", "1", at_version(1, COUNT)))
        _tell(report, "to another process", server, other, 2)
        _tell(report, "to the same process", server, server, 3)


def _tell(report: Report, where: str, server: Server, publisher: Server, version: int) -> None:
    with PointLoad(server, "bench-switch", COUNT) as load:
        time.sleep(SECONDS)
        before = load.stop()
    body = publish_body("bench-switch", str(version), at_version(version, COUNT))
    with PointLoad(server, "bench-switch", COUNT) as load:
        time.sleep(AROUND)
        publisher.post(body)
        time.sleep(AROUND)
        over = load.stop()
    report.add(Figure("switch", f"published {where}: answers, all right", over["count"], ""))
    report.add(Figure("switch", f"published {where}: p99 before", 1000 * before["p99"], "ms"))
    report.add(Figure("switch", f"published {where}: p99 over the switch", 1000 * over["p99"], "ms"))
    report.add(Figure("switch", f"published {where}: over / before", over["p99"] / before["p99"], "", 3))
