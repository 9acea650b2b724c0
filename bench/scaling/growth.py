"""What stays for good: 100,000 finished batches, events and expired versions, and 10,000 kept versions of one list.

Garbage collection and the metrics that are read from the database are timed on them and on a new database: their cost
should follow what is in use, not what has ended.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

from bson.objectid import ObjectId

from bench.environment import Environment
from bench.members import Members
from bench.prices import prices, publish_body
from bench.queries import mutation
from bench.report import Figure, Report
from bench.scaling.stored import Stored
from bench.servers import DATABASE, Server
from graph.telemetry.list_labels import ListLabels
from graph.telemetry.list_metrics import ListMetrics
from loaders import PointerCache
from storage import Store

LIST, KEPT_LIST = "grown", "kept"
FINISHED = 100_000
KEPT = 10_000
ROWS = 10
ROUNDS = 5

POLL_SECONDS = 1
EXPIRE_TIMEOUT_SECONDS = 60

MAX_RATIO = 3
MAX_SECONDS = 0.05
"""The larger of both is the target: a ratio of two short times would be noise."""

MAX_BLOCK_MILLISECONDS = 25


def run(environment: Environment, report: Report) -> None:
    with environment.server({"grace_seconds": 0, "restore_seconds": 0}, metered=True) as server:
        _expire_one(environment, server)
    before = asyncio.run(_costs(environment))
    members, count = Members(environment.mongodb_uri), environment.repeats(FINISHED)
    with Stored(environment.mongodb_uri) as stored:
        size = members.bytes_on_disk([DATABASE])
        _grow(stored, count)
        size = members.bytes_on_disk([DATABASE]) - size
    what = "a finished batch with its event and its expired version: on disk"
    report.add(Figure("scale-growth", what, size / count, "bytes"))
    for what, seconds in asyncio.run(_costs(environment)).items():
        most = max(MAX_RATIO * before[what], MAX_SECONDS)
        report.add(Figure("scale-growth", f"{what}: a new database", 1000 * before[what], "ms"))
        report.add(Figure("scale-growth", f"{what}: {FINISHED:,} of each", 1000 * seconds, "ms", 1000 * most))
    with environment.server(metered=True) as server:
        milliseconds = 1000 * _longest_block(environment, server)
    what = f"retention of {KEPT:,} versions: longest block of the event loop"
    report.add(Figure("scale-growth", what, milliseconds, "ms", MAX_BLOCK_MILLISECONDS))


def _expire_one(environment: Environment, server: Server) -> None:
    """Publish two versions, and let retention expire the first and release its layers."""
    server.post(mutation("createPriceList", name=LIST, retention={"versions": 1, "days": 0}))
    for version in (1, 2):
        server.post(publish_body(LIST, f"{version}", prices(ROWS, version=version)))
    deadline = time.monotonic() + EXPIRE_TIMEOUT_SECONDS
    with Stored(environment.mongodb_uri) as stored:
        while stored.manifest(LIST, 1)[1].get("layers"):
            if time.monotonic() > deadline:
                raise AssertionError("Version 1 does not expire.")
            server.post(mutation("retain", priceList=LIST))
            time.sleep(POLL_SECONDS)


def _grow(stored: Stored, count: int) -> None:
    """Copy the expired version, its batch and an event."""
    batch, event = stored.batch("1"), stored.event(LIST)
    numbers = range(1_000, 1_000 + count)
    stored.copy_version(LIST, 1, numbers)
    stored.insert("batches", ({**batch, "_id": str(ObjectId()), "key": f"{number}"} for number in numbers))
    stored.insert("events", ({**event, "_id": ObjectId(), "revision": number} for number in numbers))


async def _costs(environment: Environment) -> dict[str, float]:
    """Return the seconds of each periodic task."""
    store = await Store.open(environment.mongodb_uri, DATABASE)
    pointers = PointerCache(store)
    try:
        await pointers.start()
        metrics = ListMetrics(store, pointers, ListLabels())
        return {
            "garbage collection": await _seconds(environment, store.garbage_collector.collect),
            "metrics read from the database": await _seconds(environment, metrics.refresh),
        }
    finally:
        await pointers.stop()
        await store.close()


async def _seconds(environment: Environment, act: Callable[[], Awaitable[object]]) -> float:
    """Return the median of some rounds, after a first one that may find something to do."""
    await act()
    taken = []
    for _ in range(environment.repeats(ROUNDS)):
        started = time.perf_counter()
        await act()
        taken.append(time.perf_counter() - started)
    return median(taken)


def _longest_block(environment: Environment, server: Server) -> float:
    """Return the longest time that a retention pass over many kept versions blocks the event loop, in seconds."""
    kept = environment.repeats(KEPT)
    server.post(mutation("createPriceList", name=KEPT_LIST, retention={"versions": KEPT + 1, "days": 0}))
    server.post(publish_body(KEPT_LIST, "first", prices(ROWS)))
    with Stored(environment.mongodb_uri) as stored:
        stored.set_last_version(KEPT_LIST, kept)
        server.post(publish_body(KEPT_LIST, "last", prices(ROWS)))
        stored.copy_version(KEPT_LIST, 1, range(2, kept + 1))  # each of them was replaced, as version 1 was
    server.longest_block()
    for _ in range(environment.repeats(ROUNDS)):
        server.post(mutation("retain", priceList=KEPT_LIST))
    return server.longest_block()
