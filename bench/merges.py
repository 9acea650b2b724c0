"""Merges of 10,000 prices into lists of 10 thousand, 1 million and 5 million: the cost should follow the batch.

The lists are uploaded as files, to measure the peak memory of the server while it streams the largest.
"""

import tempfile
import time
from statistics import median

from bench.environment import Environment
from bench.prices import PUBLISH, prices, publish_body, write_rows
from bench.report import Figure, Report
from bench.servers import Server

SIZES = (10_000, 1_000_000, 5_000_000)
BATCH = 10_000
ROUNDS = 5


def run(environment: Environment, report: Report) -> None:
    with environment.server(metered=True) as server:
        _run(server, report)


def _run(server: Server, report: Report) -> None:
    for size in SIZES:
        server.create(f"merge-{size}")
        with tempfile.TemporaryFile() as file:
            write_rows(file, size)
            server.reset_peak_memory()
            started = time.perf_counter()
            input_ = {"priceList": f"merge-{size}", "mode": "REPLACE", "idempotencyKey": "base", "file": None}
            server.upload({"query": PUBLISH, "variables": {"input": input_}}, "prices.ndjson", file)
        report.add(Figure("merges", f"a file of {size:,} rows", time.perf_counter() - started, "s"))
    report.add(Figure("merges", "peak memory of the server during the last", server.peak_memory() / 2**20, "MiB", 300))
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    for round_ in range(ROUNDS):
        for size in SIZES:
            # Half of the prices exist already, the other half is new.
            rows = prices(BATCH // 2, round_ * BATCH % size) + prices(BATCH // 2, size + round_ * BATCH)
            body = publish_body(f"merge-{size}", f"merge-{round_}", rows, "MERGE")
            started = time.perf_counter()
            server.post(body)
            times[size].append(time.perf_counter() - started)
    for size in SIZES:
        report.add(Figure("merges", f"{BATCH:,} into {size:,}", median(times[size]), "s"))
    ratio = median(times[SIZES[-1]]) / median(times[SIZES[0]])
    report.add(Figure("merges", f"into {SIZES[-1]:,} / into {SIZES[0]:,}", ratio, "", 1.5))
