"""Merging 10,000 prices into lists of 10 thousand, 1 million and 5 million: the cost is to follow the batch."""

import time
from statistics import median

from bench.prices import prices, publish_body
from bench.report import Figure, Report
from bench.servers import Server

SIZES = (10_000, 1_000_000, 5_000_000)
BATCH = 10_000
ROUNDS = 5
STEP = 250_000


def run(server: Server, report: Report) -> None:
    for size in SIZES:
        server.create(f"merge-{size}")
        for first in range(0, size, STEP):
            rows = prices(min(STEP, size - first), first)
            server.post(publish_body(f"merge-{size}", f"base-{first}", rows, "MERGE"))
        report.say(f"  a list of {size:,} is there")
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
