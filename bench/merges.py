"""Merging 10,000 prices into lists of 10 thousand, 1 million and 5 million: the cost is to follow the batch.

The lists come in as files, so that the server's memory is measured while the largest streams through it.
"""

import tempfile
import time
from statistics import median

from bench.environment import Place
from bench.prices import PUBLISH, prices, publish_body, write_rows
from bench.report import Figure, Report
from bench.servers import Server

SIZES = (10_000, 1_000_000, 5_000_000)
BATCH = 10_000
ROUNDS = 5


def run(place: Place, report: Report) -> None:
    with place.server(metered=True) as server:
        _run(server, report)


def _run(server: Server, report: Report) -> None:
    for size in SIZES:
        server.create(f"merge-{size}")
        with tempfile.TemporaryFile() as file:
            write_rows(file, size)
            server.forget_peak_memory()
            started = time.perf_counter()
            given = {"priceList": f"merge-{size}", "mode": "REPLACE", "idempotencyKey": "base", "file": None}
            server.upload({"query": PUBLISH, "variables": {"input": given}}, "prices.ndjson", file)
        report.add(Figure("merges", f"a file of {size:,} rows", time.perf_counter() - started, "s"))
    report.add(
        Figure("merges", "server's memory at its peak during the last", server.peak_memory() / 2**20, "MiB", 300)
    )
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    for turn in range(ROUNDS):
        for size in SIZES:
            # Every other price of a stretch is changed, the rest is new.
            rows = prices(BATCH // 2, turn * BATCH % size) + prices(BATCH // 2, size + turn * BATCH)
            body = publish_body(f"merge-{size}", f"merge-{turn}", rows, "MERGE")
            started = time.perf_counter()
            server.post(body)
            times[size].append(time.perf_counter() - started)
    for size in SIZES:
        report.add(Figure("merges", f"{BATCH:,} into {size:,}", median(times[size]), "s"))
    ratio = median(times[SIZES[-1]]) / median(times[SIZES[0]])
    report.add(Figure("merges", f"into {SIZES[-1]:,} / into {SIZES[0]:,}", ratio, "", 1.5))
