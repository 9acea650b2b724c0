"""Publish of 50,000 prices under full read load: all responses are correct, and latencies during the publish."""

import time

from bench.environment import Environment
from bench.point_load import PointLoad
from bench.prices import at_version, publish_body
from bench.report import Figure, Report
from bench.servers import Server

COUNT = 50_000
BASELINE_SECONDS = 5.0
MARGIN_SECONDS = 1.0
"""Load before and after the publish."""


def run(environment: Environment, report: Report) -> None:
    """Publish to the process under load, and to another one, which shares only the database with the readers."""
    with environment.server() as server, environment.server() as other:
        server.create("bench-switch")
        server.post(publish_body("bench-switch", "1", at_version(1, COUNT)))
        _measure(report, "to another process", server, other, 2)
        _measure(report, "to the same process", server, server, 3)


def _measure(report: Report, target: str, server: Server, publisher: Server, version: int) -> None:
    with PointLoad(server, "bench-switch", COUNT) as load:
        time.sleep(BASELINE_SECONDS)
        before = load.stop()
    body = publish_body("bench-switch", str(version), at_version(version, COUNT))
    with PointLoad(server, "bench-switch", COUNT) as load:
        time.sleep(MARGIN_SECONDS)
        publisher.post(body)
        time.sleep(MARGIN_SECONDS)
        during = load.stop()
    report.add(Figure("switch", f"published {target}: responses, all correct", during["count"], ""))
    report.add(Figure("switch", f"published {target}: p99 before", 1000 * before["p99"], "ms"))
    report.add(Figure("switch", f"published {target}: p99 during the publish", 1000 * during["p99"], "ms"))
    report.add(Figure("switch", f"published {target}: during / before", during["p99"] / before["p99"], "", 3))
