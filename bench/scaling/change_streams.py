"""What the change streams of many processes add to a batch: 100,000 rows, with 0 and with 20 of them.

The streams are opened as a process opens its own, on the collection of the pointers, and read by this process.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import Any

from pymongo import MongoClient

from bench.environment import Environment
from bench.members import Members
from bench.prices import publish_body, shuffled
from bench.report import Figure, Report
from bench.servers import DATABASE, Server

LIST = "streams"
ROWS = 100_000
STREAMS = 20
ROUNDS = 4

MAX_RATIO = 1.25


def run(environment: Environment, report: Report) -> None:
    members = Members(environment.mongodb_uri)
    taken: dict[int, list[float]] = {0: [], STREAMS: []}
    cpu: dict[int, float] = {0: 0.0, STREAMS: 0.0}
    with environment.server() as server:
        server.create(LIST)
        server.post(publish_body(LIST, "first", shuffled(environment.rows(ROWS), ROUNDS)))
        for round_ in range(environment.repeats(ROUNDS)):
            for streams, seconds in list(taken.items())[:: -1 if round_ % 2 else 1]:
                body = publish_body(LIST, f"{streams}-{round_}", shuffled(environment.rows(ROWS), round_))
                with _change_streams(environment, streams):
                    before = members.cpu_seconds()
                    seconds.append(_publish(server, body))
                    cpu[streams] += members.cpu_seconds() - before
    alone, crowded = (median(each) for each in taken.values())
    report.add(Figure("scale-streams", f"{ROWS:,} rows", alone, "s"))
    report.add(Figure("scale-streams", f"with {STREAMS} more change streams / without", crowded / alone, "", MAX_RATIO))
    # A trial run is shorter than the steps in which CPU is counted.
    ratio = cpu[STREAMS] / max(cpu[0], 0.01)
    report.add(Figure("scale-streams", "the same, members' CPU", ratio, ""))


def _publish(server: Server, body: bytes) -> float:
    started = time.perf_counter()
    server.post(body)
    return time.perf_counter() - started


@contextmanager
def _change_streams(environment: Environment, count: int) -> Iterator[None]:
    """Keep some change streams open and read for a context."""
    stopped = threading.Event()
    opened = threading.Barrier(count + 1)
    with MongoClient[dict[str, Any]](environment.mongodb_uri) as client, ThreadPoolExecutor(count or 1) as pool:

        def follow() -> None:
            with client[DATABASE]["price_lists"].watch(full_document="updateLookup") as stream:
                opened.wait(60)
                while not stopped.is_set():
                    stream.try_next()

        following = [pool.submit(follow) for _ in range(count)]
        try:
            opened.wait(60)
            yield
        finally:
            stopped.set()
        for each in following:
            each.result()
