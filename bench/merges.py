"""Merges of 10,000 random prices into lists of 10 thousand, 1 million and 5 million: the cost should follow the batch.

Half of the skus exist already, the other half is new. The server serves the lists before the first merge.
"""

import json
import random
import time
from statistics import median
from typing import Any

from bench.environment import Environment
from bench.large_lists import MILLION, large_list, large_server
from bench.prices import prices, publish_body, sku
from bench.queries import POINT, body
from bench.report import Figure, Report

SIZES = (10_000, MILLION, 5 * MILLION)
BATCH = 10_000
ROUNDS = 5

MAX_RATIO = 1.5
MAX_SECONDS = 0.6
"""The larger of both is the target of the largest list: a ratio of two short times would be noise."""


def run(environment: Environment, report: Report) -> None:
    names = {size: large_list(environment, size) for size in SIZES}
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    with large_server(environment) as server:
        for name in names.values():
            server.post(body(POINT, list=name, sku=sku(0)))
        for round_ in range(environment.repeats(ROUNDS)):
            for size, name in names.items():
                rows = _rows(environment.rows(BATCH), environment.rows(size), round_)
                request = publish_body(name, f"merge-{round_}", rows, "MERGE")
                started = time.perf_counter()
                payload = server.post(request)
                times[size].append(time.perf_counter() - started)
                if payload["batch"]["state"] != "PUBLISHED":
                    raise AssertionError(json.dumps(payload))
    medians = {size: median(each) for size, each in times.items()}
    most = max(MAX_RATIO * medians[SIZES[0]], MAX_SECONDS)
    for size, seconds in medians.items():
        report.add(Figure("merges", f"{BATCH:,} into {size:,}", seconds, "s", most if size == SIZES[-1] else None))
    ratio = medians[SIZES[-1]] / medians[SIZES[0]]
    report.add(Figure("merges", f"into {SIZES[-1]:,} / into {SIZES[0]:,}", ratio, ""))


def _rows(count: int, size: int, round_: int) -> list[dict[str, Any]]:
    """Return prices in random order. The new skus lie between the existing ones."""
    generator = random.Random(f"{size} {round_}")
    numbers = generator.sample(range(size), count)
    rows = prices(count, version=1 + round_)
    for index, (row, number) in enumerate(zip(rows, numbers, strict=True)):
        row["sku"] = sku(number) if index % 2 else f"{sku(number)}-{round_}"
    return rows
