"""Publish of 50,000 prices under full read load: all responses are correct, and latencies during the publish."""

import time

from bench.environment import Environment
from bench.point_load import PointLoad
from bench.prices import at_version, publish_body
from bench.report import Figure, Report
from bench.servers import Server

COUNT = 50_000
BASELINE_SECONDS = 3
MARGIN_SECONDS = 1
"""Load before and after the publish."""


def run(environment: Environment, report: Report) -> None:
    """Publish to the process under load, and to another one, which shares only the database with the readers."""
    count = environment.rows(COUNT)
    with environment.server() as server, environment.server() as other:
        server.create("bench-switch")
        server.post(publish_body("bench-switch", "1", at_version(1, count)))
        _measure(environment, report, "to another process", server, other, 2)
        _measure(environment, report, "to the same process", server, server, 3)


def _measure(
    environment: Environment, report: Report, target: str, server: Server, publisher: Server, version: int
) -> None:
    count = environment.rows(COUNT)
    with PointLoad(server, "bench-switch", count) as load:
        time.sleep(environment.seconds(BASELINE_SECONDS))
        before = load.stop()
    body = publish_body("bench-switch", str(version), at_version(version, count))
    with PointLoad(server, "bench-switch", count) as load:
        time.sleep(environment.seconds(MARGIN_SECONDS))
        publisher.post(body)
        time.sleep(environment.seconds(MARGIN_SECONDS))
        during = load.stop()
    report.add(Figure("switch", f"published {target}: responses, all correct", during["count"], ""))
    report.add(Figure("switch", f"published {target}: p99 before", 1000 * before["p99"], "ms"))
    report.add(Figure("switch", f"published {target}: p99 during the publish", 1000 * during["p99"], "ms"))
    report.add(Figure("switch", f"published {target}: during / before", during["p99"] / before["p99"], "", 3))
