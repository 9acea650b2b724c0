"""Filters and orders over 1,000,000 prices: server CPU a price of the list.

No price has the attribute that is asked for, and every block has prices of all amounts: statistics of blocks cannot
skip any. The first three prices by amount, in contrast, are in few blocks.
"""

import time
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.environment import Environment
from bench.large_lists import MILLION, large_list, large_server
from bench.queries import body
from bench.report import Figure, Report

COUNT = MILLION
ROUNDS = 5

MAX_CPU_MICROSECONDS = 1.0

QUERY = """query($list: ID!, $first: Int!, $filter: PriceFilter, $order: PriceOrder!) {
  snapshot(priceList: $list) { prices(first: $first, filter: $filter, orderBy: $order) { nodes { sku amount } } }
}"""


@dataclass(frozen=True, slots=True)
class Scan:
    """A page of the prices that match a filter, in an order."""

    name: str
    first: int
    order: str
    matches: bool

    def variables(self, round_: int) -> dict[str, Any]:
        """Return variables that are different in each round, so that no cache has the page."""
        nothing = {"attributes": [{"name": "color", "value": f"none {round_}"}]}
        everything = {"amount": {"gte": f"0.{1 + round_}"}}
        return {"first": self.first, "order": self.order, "filter": everything if self.matches else nothing}


SCANS = (
    Scan("a filter that matches nothing", 1000, "SKU", matches=False),
    Scan("a filter that matches nothing, AMOUNT_DESC", 1000, "AMOUNT_DESC", matches=False),
    Scan("AMOUNT_DESC, first 1000", 1000, "AMOUNT_DESC", matches=True),
    Scan("AMOUNT_DESC, first 3", 3, "AMOUNT_DESC", matches=True),
)


def run(environment: Environment, report: Report) -> None:
    name, count = large_list(environment, COUNT), environment.rows(COUNT)
    cpu: dict[str, list[float]] = {scan.name: [] for scan in SCANS}
    with large_server(environment) as server:
        started = time.perf_counter()
        server.post(body(QUERY, list=name, **SCANS[0].variables(ROUNDS)))
        report.add(Figure("scans", f"first scan of {COUNT:,} prices by a process", time.perf_counter() - started, "s"))
        for round_ in range(environment.repeats(ROUNDS)):
            for scan in SCANS:
                used = server.cpu_seconds()
                nodes = server.post(body(QUERY, list=name, **scan.variables(round_)))["prices"]["nodes"]
                cpu[scan.name].append(server.cpu_seconds() - used)
                if len(nodes) != (min(scan.first, count) if scan.matches else 0):
                    raise AssertionError(f"{scan.name}: {len(nodes)} prices")
    for scan_name, seconds in cpu.items():
        microseconds = 1e6 * median(seconds) / count
        report.add(
            Figure("scans", f"{scan_name}: server CPU a price of the list", microseconds, "us", MAX_CPU_MICROSECONDS)
        )
