"""What differs between two versions: 1,000 changes in a list of a million, against as many in one of 10,000."""

import json
import tempfile
import time
from statistics import median

from bench.environment import Place
from bench.prices import PUBLISH, prices, publish_body, write_rows
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


def run(place: Place, report: Report) -> None:
    with place.server() as server:
        for size in SIZES:
            _fill(server, size)
        # A page and the summary: of each round between two versions that were not compared yet, and over two merges,
        # so that no batch knows the answer.
        times: dict[int, list[float]] = {size: [] for size in SIZES}
        for turn in range(ROUNDS):
            for size in SIZES:
                times[size].append(_diff(server, size, turn + 1, turn + 3))
        whole = _diff(server, SIZES[-1], 1, ROUNDS + 4)
    for size in SIZES:
        report.add(Figure("diffs", f"{2 * CHANGES:,} changes by two merges into {size:,}", median(times[size]), "s"))
    ratio = median(times[SIZES[-1]]) / median(times[SIZES[0]])
    report.add(Figure("diffs", f"in {SIZES[-1]:,} / in {SIZES[0]:,}", ratio, "", 2))
    report.add(Figure("diffs", f"two whole lists of {SIZES[-1]:,}, which share nothing", whole, "s"))


def _fill(server: Server, size: int) -> None:
    """Versions 1: all; then one for each merge; then all again."""
    server.create(f"diff-{size}")
    _replace(server, size, 0)
    for turn in range(ROUNDS + 2):
        rows = [{**row, "amount": f"{turn}.50"} for row in prices(CHANGES, (turn * 3 * CHANGES) % (size - CHANGES))]
        server.post(publish_body(f"diff-{size}", f"merge-{turn}", rows, "MERGE"))
    if size == SIZES[-1]:
        _replace(server, size, 1)


def _replace(server: Server, size: int, amounts: int) -> None:
    with tempfile.TemporaryFile() as file:
        write_rows(file, size, amounts)
        given = {"priceList": f"diff-{size}", "mode": "REPLACE", "idempotencyKey": f"all-{amounts}", "file": None}
        server.upload({"query": PUBLISH, "variables": {"input": given}}, "prices.ndjson", file)


def _diff(server: Server, size: int, before: int, after: int) -> float:
    """Return the seconds that a page and the summary take."""
    given = {"list": f"diff-{size}", "from": before, "to": after}
    started = time.perf_counter()
    server.post(json.dumps({"query": DIFF, "variables": given}).encode())
    return time.perf_counter() - started
