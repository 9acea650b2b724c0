"""Time from a rollback until each of two servers returns the old version, while both are read."""

import contextlib
import http.client
import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from bench.environment import Environment
from bench.point_load import PointLoad
from bench.prices import at_version, publish_body
from bench.report import Figure, Report
from bench.servers import Server

LIST = "bench-rollbacks"
COUNT = 50_000
ROLLBACKS = 100

PAUSE_SECONDS = 0.02
"""Pause of each of the eight connections per server: some hundred responses per second from each."""

ROLLBACK = "mutation($input: RollbackInput!) { rollback(input: $input) { userErrors { code message } } }"
CURRENT = json.dumps({"query": f'{{ snapshot(priceList: "{LIST}") {{ version }} }}'}).encode()

POLL_INTERVAL_SECONDS = 0.002
"""Polling without a pause would take the CPU from the servers."""


def run(environment: Environment, report: Report) -> None:
    """Roll back and forth between two versions of 50,000 prices, with commands to both servers in turn."""
    count = environment.rows(COUNT)
    with environment.server() as one, environment.server() as other:
        one.create(LIST)
        for version in (1, 2):
            one.post(publish_body(LIST, str(version), at_version(version, count)))
        with (
            PointLoad(one, LIST, count, PAUSE_SECONDS) as load,
            PointLoad(other, LIST, count, PAUSE_SECONDS) as other_load,
        ):
            rollbacks = environment.repeats(ROLLBACKS)
            time.sleep(environment.seconds(2))  # until both have loaded the list
            seconds = [_rollback(1 + i % 2, (one, other)[i // 2 % 2], (one, other)) for i in range(rollbacks)]
            results = [each.stop() for each in (load, other_load)]
    seconds.sort()
    report.add(Figure("rollbacks", "responses, all correct", sum(each["count"] for each in results), ""))
    report.add(Figure("rollbacks", "p99 of these responses", 1000 * max(each["p99"] for each in results), "ms"))
    report.add(Figure("rollbacks", "command to both servers, p50", 1000 * statistics.median(seconds), "ms", 50))
    report.add(Figure("rollbacks", "command to both servers, p99", 1000 * seconds[len(seconds) * 99 // 100], "ms", 500))


def _rollback(version: int, server: Server, servers: tuple[Server, Server]) -> float:
    """Return the seconds from the command until both servers return the version."""
    barrier = threading.Barrier(len(servers) + 1)
    input_ = {"priceList": LIST, "toVersion": version, "reason": "bench", "pin": False}
    with ThreadPoolExecutor(len(servers)) as pool:
        switched = [pool.submit(_wait_for_version, each, version, barrier) for each in servers]
        barrier.wait()
        started = time.perf_counter()
        server.post(json.dumps({"query": ROLLBACK, "variables": {"input": input_}}).encode())
        return max(each.result() for each in switched) - started


def _wait_for_version(server: Server, version: int, barrier: threading.Barrier) -> float:
    """Poll a server until it returns a version, and return the time of that response."""
    url = urlsplit(server.url)
    with contextlib.closing(http.client.HTTPConnection(url.netloc, timeout=30)) as connection:
        connection.connect()
        barrier.wait()
        while True:
            connection.request("POST", url.path, CURRENT, {"content-type": "application/json"})
            response = json.load(connection.getresponse())
            if response["data"]["snapshot"]["version"] == version:
                return time.perf_counter()
            time.sleep(POLL_INTERVAL_SECONDS)
