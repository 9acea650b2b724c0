"""The p99 of point queries while the same process takes in 221,702 rows, over its p99 when idle."""

import json
import subprocess
import sys
import time
from typing import Any, Self

from bench.place import Place
from bench.prices import prices, publish_body
from bench.report import Figure, Report
from bench.servers import Server

ROWS = 221_702
SKUS = 50_000
IDLE_SECONDS = 5.0


def run(place: Place, report: Report) -> None:
    with place.server(metered=True) as server:
        _run(server, report)


def _run(server: Server, report: Report) -> None:
    server.create("bench-reads")
    server.create("bench-load")
    server.post(publish_body("bench-reads", "base", prices(SKUS)))
    body = publish_body("bench-load", "load", prices(ROWS))
    with _Load(server) as load:
        time.sleep(IDLE_SECONDS)
        idle = load.stop()
    with _Load(server) as load:
        started = time.perf_counter()
        server.post(body)
        took = time.perf_counter() - started
        busy = load.stop()
    report.add(Figure("reads while loading", f"{ROWS:,} rows taken in", took, "s"))
    for state, seen in (("idle", idle), ("loading", busy)):
        for percentile in ("p50", "p99"):
            report.add(Figure("reads while loading", f"{percentile} {state}", 1000 * seen[percentile], "ms"))
    report.add(Figure("reads while loading", "p99 loading / idle", busy["p99"] / idle["p99"], "", 5))


class _Load:
    """Point queries from a process of its own, from when it says that it is ready until it is told to stop."""

    def __init__(self, server: Server) -> None:
        command = [sys.executable, "-m", "bench.load", server.url, str(SKUS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        if self._process.stdout is None or self._process.stdout.readline() != b"ready\n":
            raise AssertionError("The load did not start.")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    def stop(self) -> dict[str, Any]:
        """Return the latencies that were seen, in seconds."""
        output, _ = self._process.communicate()
        return _seen(self._process, output)


def _seen(process: subprocess.Popen[bytes], output: bytes) -> dict[str, Any]:
    if process.returncode:
        raise AssertionError("The load broke off.")
    result: dict[str, Any] = json.loads(output)
    return result
