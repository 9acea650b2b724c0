"""The p99 of point queries while the same process takes in 221,702 rows, over its p99 when idle."""

import json
import subprocess
import sys
import threading
import time
from typing import Any

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
    idle = _wait(_start(server, IDLE_SECONDS))
    took: list[float] = []
    sender = threading.Thread(target=lambda: took.append(_send(server, body)))
    sender.start()
    busy = []
    while sender.is_alive():
        busy.append(_wait(_start(server, 1.0)))
    sender.join()
    worst = max(run["p99"] for run in busy)
    report.add(Figure("reads while loading", f"{ROWS:,} rows taken in", took[0], "s"))
    report.add(Figure("reads while loading", "p99 idle", 1000 * idle["p99"], "ms"))
    report.add(Figure("reads while loading", "p99 of the worst second", 1000 * worst, "ms"))
    report.add(Figure("reads while loading", "worst second / idle", worst / idle["p99"], "", 5))


def _send(server: Server, body: bytes) -> float:
    started = time.perf_counter()
    server.post(body)
    return time.perf_counter() - started


def _start(server: Server, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.load", server.url, str(SKUS), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def _wait(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, _ = process.communicate()
    if process.returncode:
        raise AssertionError("The load broke off.")
    result: dict[str, Any] = json.loads(output)
    return result
