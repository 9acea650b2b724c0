"""A REPLACE of 300,000 rows alone, and while small merges into the same list are published all the time.

The merges go through another server. If the REPLACE is not published in many times the time that it takes alone, the
merges stop, so that the run ends: its time is then a lower bound.
"""

import tempfile
import time
from statistics import median

from bench.environment import Environment
from bench.large_lists import upload
from bench.prices import publish_file, write_rows
from bench.report import Figure, Report
from bench.scaling.senders import Senders
from bench.servers import Server

LIST = "replaced"
ROWS = 300_000
MERGED = 10
INTERVALS_SECONDS = (5.0, 0.5)
ROUNDS = 2

PATIENCE = 8
"""Multiple of the time alone after which the merges stop."""

MAX_RATIO = 3


def run(environment: Environment, report: Report) -> None:
    rows, rounds = environment.rows(ROWS), environment.repeats(ROUNDS)
    with environment.server() as server, environment.server() as other:
        with tempfile.TemporaryFile(dir=environment.folder) as file:
            write_rows(file, rows)
            upload(server, LIST, file)
        alone = median(_replace(environment, server, f"alone-{round_}", 1 + round_) for round_ in range(rounds))
        report.add(Figure("scale-replace", f"{ROWS:,} rows alone", alone, "s"))
        senders = Senders(other, rows, MERGED)
        for interval in INTERVALS_SECONDS:
            with senders.sending(LIST, PATIENCE * alone, interval) as sent:
                seconds = median(
                    _replace(environment, server, f"during-{interval}-{round_}", 100 + round_)
                    for round_ in range(rounds)
                )
            what = f"with a merge every {interval:g} s"
            report.add(Figure("scale-replace", f"{what} / alone", seconds / alone, "", MAX_RATIO))
            report.add(Figure("scale-replace", f"{what}: merges published", len(sent.seconds), ""))
            report.add(Figure("scale-replace", f"{what}: longest merge", max(sent.seconds, default=0.0), "s"))


def _replace(environment: Environment, server: Server, key: str, version: int) -> float:
    """Publish a new version of all prices, and return the seconds that it takes."""
    with tempfile.TemporaryFile(dir=environment.folder) as file:
        write_rows(file, environment.rows(ROWS), version)
        started = time.perf_counter()
        payload = server.upload(publish_file(LIST, key), "prices.ndjson", file)
        seconds = time.perf_counter() - started
    if payload["batch"]["state"] != "PUBLISHED":
        raise AssertionError(payload)
    return seconds
