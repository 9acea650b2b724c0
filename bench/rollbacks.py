"""From a rollback to every one of two servers answering with the old version, while both are read."""

import contextlib
import http.client
import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from bench.environment import Place
from bench.point_load import PointLoad
from bench.prices import at_version, publish_body
from bench.report import Figure, Report
from bench.servers import Server

LIST = "bench-rollbacks"
COUNT = 50_000
ROLLBACKS = 100

# Eight connections a server, each with such a pause: some hundred answers a second of each server.
PAUSE = 0.02

ROLLBACK = "mutation($input: RollbackInput!) { rollback(input: $input) { userErrors { code message } } }"
CURRENT = json.dumps({"query": f'{{ snapshot(priceList: "{LIST}") {{ version }} }}'}).encode()

# Somebody who asks without a pause would take the core from those who answer.
BETWEEN = 0.002


def run(place: Place, report: Report) -> None:
    """Roll back to and fro between two versions of 50,000 prices; the command goes to either server in turn."""
    with place.server() as one, place.server() as other:
        one.create(LIST)
        for version in (1, 2):
            one.post(publish_body(LIST, str(version), at_version(version, COUNT)))
        with PointLoad(one, LIST, COUNT, PAUSE) as load, PointLoad(other, LIST, COUNT, PAUSE) as other_load:
            time.sleep(2.0)  # until both have read the list
            seconds = [_rollback(1 + turn % 2, (one, other)[turn // 2 % 2], (one, other)) for turn in range(ROLLBACKS)]
            answers = [each.stop() for each in (load, other_load)]
    seconds.sort()
    report.add(Figure("rollbacks", "answers meanwhile, all right", sum(each["count"] for each in answers), ""))
    report.add(Figure("rollbacks", "p99 of these answers", 1000 * max(each["p99"] for each in answers), "ms"))
    report.add(Figure("rollbacks", "command to both servers, p50", 1000 * statistics.median(seconds), "ms", 50))
    report.add(Figure("rollbacks", "command to both servers, p99", 1000 * seconds[len(seconds) * 99 // 100], "ms", 500))


def _rollback(version: int, server: Server, servers: tuple[Server, Server]) -> float:
    """Return the seconds from the command until both servers have answered with the version."""
    begin = threading.Barrier(len(servers) + 1)
    given = {"priceList": LIST, "toVersion": version, "reason": "bench", "pin": False}
    with ThreadPoolExecutor(len(servers)) as pool:
        seen = [pool.submit(_seen, each, version, begin) for each in servers]
        begin.wait()
        started = time.perf_counter()
        server.post(json.dumps({"query": ROLLBACK, "variables": {"input": given}}).encode())
        return max(each.result() for each in seen) - started


def _seen(server: Server, version: int, begin: threading.Barrier) -> float:
    """Ask until a server answers with a version, and return when it did."""
    url = urlsplit(server.url)
    with contextlib.closing(http.client.HTTPConnection(url.netloc, timeout=30)) as connection:
        connection.connect()
        begin.wait()
        while True:
            connection.request("POST", url.path, CURRENT, {"content-type": "application/json"})
            answer = json.load(connection.getresponse())
            if answer["data"]["snapshot"]["version"] == version:
                return time.perf_counter()
            time.sleep(BETWEEN)
