"""Diffs of two versions: 2,000 changes in a list of a million prices, compared with the same in one of 10,000."""

import json
import tempfile
import time
from statistics import median

from bench.environment import Environment
from bench.prices import prices, publish_body, publish_file, write_rows
from bench.report import Figure, Report
from bench.servers import Server

SIZES = (10_000, 1_000_000)
CHANGES = 1000
ROUNDS = 5

DIFF = """query($list: ID!, $from: Int!, $to: Int!) {
  priceList(name: $list) {
    diff(from: $from, to: $to, first: 1000) {
      nodes { sku change before { amount } after { amount } }
      summary { added removed changed unchanged }
    }
  }
}"""


def run(environment: Environment, report: Report) -> None:
    with environment.server() as server:
        for size in SIZES:
            _fill(environment, server, size)
        # A page and the summary. Each round compares two new versions, two merges apart, so that neither the cache nor
        # a batch has their summary.
        times: dict[int, list[float]] = {size: [] for size in SIZES}
        rounds = environment.repeats(ROUNDS)
        for round_ in range(rounds):
            for size in SIZES:
                times[size].append(_diff(server, size, round_ + 1, round_ + 3))
        unrelated = _diff(server, SIZES[-1], 1, rounds + 4)
    for size in SIZES:
        report.add(Figure("diffs", f"{2 * CHANGES:,} changes by two merges into {size:,}", median(times[size]), "s"))
    ratio = median(times[SIZES[-1]]) / median(times[SIZES[0]])
    report.add(Figure("diffs", f"in {SIZES[-1]:,} / in {SIZES[0]:,}", ratio, "", 2))
    report.add(Figure("diffs", f"two whole lists of {SIZES[-1]:,}, which share no layer", unrelated, "s"))


def _fill(environment: Environment, server: Server, size: int) -> None:
    """Publish version 1, one version for each merge and, in the largest list, a new version of all prices."""
    name, rows, changes = f"diff-{size}", environment.rows(size), environment.repeats(CHANGES)
    server.create(name)
    _replace(server, name, rows, 0)
    for round_ in range(environment.repeats(ROUNDS) + 2):
        merged = prices(changes, (round_ * 3 * changes) % (rows - changes))
        merged = [{**row, "amount": f"{round_}.50"} for row in merged]
        server.post(publish_body(name, f"merge-{round_}", merged, "MERGE"))
    if size == SIZES[-1]:
        _replace(server, name, rows, 1)


def _replace(server: Server, name: str, count: int, version: int) -> None:
    with tempfile.TemporaryFile() as file:
        write_rows(file, count, version)
        server.upload(publish_file(name, f"all-{version}"), "prices.ndjson", file)


def _diff(server: Server, size: int, before: int, after: int) -> float:
    """Return the seconds that a page and the summary take."""
    variables = {"list": f"diff-{size}", "from": before, "to": after}
    started = time.perf_counter()
    server.post(json.dumps({"query": DIFF, "variables": variables}).encode())
    return time.perf_counter() - started
