"""From the publication of a list of 50,000 prices by one process until another process serves it from memory.

The moment of publication is `publishedAt`, by the clock of the process that publishes; all processes have the same
clock. The other process is polled until its version is the new one. Random prices read from it afterwards are all new,
and none of these reads asks MongoDB for a layer.
"""

import datetime
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from bench.environment import Environment
from bench.prices import publish_body, shuffled
from bench.queries import MULTI, body
from bench.report import Figure, Report
from bench.servers import Server

LIST = "bench-publish"
COUNT = 50_000
ROUNDS = 10
READS = 1_000
POLL_INTERVAL_SECONDS = 0.002
TIMEOUT_SECONDS = 60

MAX_MILLISECONDS = 100

CURRENT = body("query($list: ID!) { snapshot(priceList: $list) { version publishedAt } }", list=LIST)


def run(environment: Environment, report: Report) -> None:
    """Send all batches to one server, and read from the other, which reads all of version 1 first."""
    count = environment.rows(COUNT)
    seconds: list[float] = []
    asked = 0
    with environment.server() as publisher, environment.server(metered=True) as reader:
        publisher.create(LIST)
        rows = shuffled(count)
        publisher.post(publish_body(LIST, "0", rows))
        _wait_for_version(reader, 1)
        _read(reader, rows)
        for round_ in range(1, 1 + environment.repeats(ROUNDS)):
            rows = shuffled(count, round_)
            request = publish_body(LIST, f"{round_}", rows)
            with ThreadPoolExecutor(1) as pool:
                published = pool.submit(publisher.post, request)
                seconds.append(_wait_for_version(reader, 1 + round_))
                published.result()
            before = reader.commands()
            _read(reader, random.Random(round_).sample(rows, min(READS, count)))
            after = reader.commands() - before
            asked += sum(number for target, number in after.items() if target.startswith("layer."))
    delay = f"{COUNT:,} prices, until another process serves them"
    report.add(Figure("publish", f"{delay}: median", 1000 * median(seconds), "ms", MAX_MILLISECONDS))
    report.add(Figure("publish", f"{delay}: longest", 1000 * max(seconds), "ms"))
    report.add(
        Figure("publish", f"{READS:,} random prices afterwards, {len(seconds)} times: commands to layers", asked, "", 0)
    )


def _wait_for_version(server: Server, version: int) -> float:
    """Poll a server until it serves a version, and return the seconds since this version was published."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        snapshot = server.post(CURRENT)
        seen = time.time()
        if snapshot.get("version") == version:
            return seen - datetime.datetime.fromisoformat(snapshot["publishedAt"]).timestamp()
        time.sleep(POLL_INTERVAL_SECONDS)
    raise AssertionError(f"The server does not serve version {version}.")


def _read(server: Server, rows: Sequence[dict[str, Any]]) -> None:
    """Read prices, 100 at a time. Raises `AssertionError` if one of them is not as published."""
    for first in range(0, len(rows), 100):
        wanted = {row["sku"]: row["amount"] for row in rows[first : first + 100]}
        found = server.post(body(MULTI, list=LIST, skus=list(wanted)))["pricesBySku"]
        if wanted != {price["sku"]: price["amount"] for price in found}:
            raise AssertionError("Prices are not as published.")
