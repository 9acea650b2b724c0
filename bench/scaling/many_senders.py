"""32 senders at once, each with merges of 10 rows back to back: all to one list, and each to a list of its own."""

import time

from bench.environment import Environment
from bench.prices import prices, publish_body
from bench.report import Figure, Report
from bench.scaling.senders import Senders
from bench.scaling.stored import Stored

SENDERS = 32
ROWS = 10_000
MERGED = 10
SECONDS = {"one list": 60, "a list each": 20}

MAX_SECONDS = 5


def run(environment: Environment, report: Report) -> None:
    rows = environment.rows(ROWS)
    names = [f"senders-{number}" for number in range(SENDERS)]
    with environment.server() as server:
        server.create("senders")
        server.post(publish_body("senders", "first", prices(rows)))
        with Stored(environment.mongodb_uri) as stored:
            stored.copy_list("senders", names)
            senders = Senders(server, rows, MERGED)
            for what, targets in {"one list": ["senders"] * SENDERS, "a list each": names}.items():
                started = time.perf_counter()
                sent = senders.send_at_once(targets, environment.seconds(SECONDS[what]))
                seconds = time.perf_counter() - started
                if not sent.seconds:
                    raise AssertionError(sent.refused)
                taken = sorted(sent.seconds)
                p50, p99 = (taken[len(taken) * percent // 100] for percent in (50, 99))
                report.add(Figure("scale-senders", f"{what}: p50", p50, "s"))
                report.add(Figure("scale-senders", f"{what}: p99", p99, "s", MAX_SECONDS))
                report.add(Figure("scale-senders", f"{what}: published", len(taken) / seconds, "/s"))
                report.add(Figure("scale-senders", f"{what}: refused", len(sent.refused), "", 0))
                most = max(stored.layers(name) for name in set(targets))
                report.add(Figure("scale-senders", f"{what}: layers at the end, at most", most, ""))
