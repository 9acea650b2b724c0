"""A file of 5,000,000 prices in random order: CPU a row, peak memory of the server, and size on disk.

The size is compared with that of one document a price, of which a sample is inserted in random order.
"""

import tempfile
import time
from typing import Any

from pymongo import MongoClient

from bench.bare_inserts import bare_collection, documents, insert
from bench.environment import Environment
from bench.large_lists import LARGE_DATABASE, MILLION, large_server, upload
from bench.members import Members
from bench.prices import shuffled, write_rows
from bench.report import Figure, Report
from bench.servers import DATABASE

COUNT = 5 * MILLION
SAMPLE = 500_000
DROP_TIMEOUT_SECONDS = 60

MAX_CPU_MICROSECONDS = 10
MAX_MEMORY_MIB = 300
MAX_DISK_RATIO = 0.25


def run(environment: Environment, report: Report) -> None:
    members, count = Members(environment.mongodb_uri), environment.rows(COUNT)
    databases = (LARGE_DATABASE, f"{LARGE_DATABASE}_layers")
    with large_server(environment) as server, tempfile.TemporaryFile(dir=environment.folder) as file:
        write_rows(file, count)
        on_disk = members.bytes_on_disk(databases)
        server.reset_peak_memory()
        started, used = time.perf_counter(), server.cpu_seconds()
        upload(server, f"large-{COUNT}", file)
        seconds, cpu = time.perf_counter() - started, server.cpu_seconds() - used
        peak = server.peak_memory()
    _wait_for_staging_to_be_dropped(environment)
    bytes_a_row = (members.bytes_on_disk(databases) - on_disk) / count
    bytes_a_document = _bytes_a_document(environment, members)
    report.add(Figure("files", f"{COUNT:,} rows in random order", seconds, "s"))
    report.add(Figure("files", "server CPU a row", 1e6 * cpu / count, "us", MAX_CPU_MICROSECONDS))
    report.add(Figure("files", "peak memory of the server", peak / 2**20, "MiB", MAX_MEMORY_MIB))
    report.add(Figure("files", "on disk, a row", bytes_a_row, "bytes"))
    report.add(Figure("files", "on disk, one document a price", bytes_a_document, "bytes"))
    report.add(Figure("files", "on disk / one document a price", bytes_a_row / bytes_a_document, "", MAX_DISK_RATIO))


def _wait_for_staging_to_be_dropped(environment: Environment) -> None:
    """Wait for the collections of the runs of the batch, which are no longer needed. Raises `AssertionError`."""
    with MongoClient[dict[str, Any]](environment.mongodb_uri) as client:
        deadline = time.monotonic() + DROP_TIMEOUT_SECONDS
        while left := client[LARGE_DATABASE].list_collection_names(filter={"name": {"$regex": "^staging[.]"}}):
            if time.monotonic() > deadline:
                raise AssertionError(f"{', '.join(left)} is still there.")
            time.sleep(1)


def _bytes_a_document(environment: Environment, members: Members) -> float:
    rows = shuffled(environment.rows(SAMPLE))
    with MongoClient[dict[str, Any]](environment.mongodb_uri) as client:
        before = members.bytes_on_disk([DATABASE])
        insert(client, documents(rows))
        size = members.bytes_on_disk([DATABASE]) - before
        bare_collection(client).drop()
    return size / len(rows)
