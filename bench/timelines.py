"""Timelines of a page of 100 skus over 30 versions, from memory: server CPU a request.

In one list each version replaces all prices, so that each sku has 30 periods, and no two versions share a layer. In the
other, each version merges a few prices. The baseline is the same page without timelines.
"""

from statistics import median

from bench.environment import Environment
from bench.prices import prices, publish_body
from bench.queries import body
from bench.report import Figure, Report
from bench.servers import Server

VERSIONS = 30
ROWS = 10_000
MERGED = 500
PAGE = 100
ROUNDS = 5
REQUESTS = 40
"""Requests of a round: CPU time is measured in steps of 10 ms."""

MAX_MILLISECONDS = 20.0

_TIMELINE = 'timeline(since: "2020-01-01T00:00:00Z") { from until version price { amount } }'
_QUERY = "query($list: ID!) {{ snapshot(priceList: $list) {{ prices(first: 100) {{ nodes {{ sku amount {} }} }} }} }}"


def run(environment: Environment, report: Report) -> None:
    # The response cache would answer the baseline.
    with environment.server({"response_cache_bytes": 0}) as server:
        periods = {name: _fill(environment, server, name) for name in ("REPLACE", "MERGE")}
        workloads = {
            (name, selected): body(_QUERY.format(selected), list=f"timeline-{name.lower()}")
            for name in periods
            for selected in ("", _TIMELINE)
        }
        times: dict[tuple[str, str], list[float]] = {key: [] for key in workloads}
        for _ in range(environment.repeats(ROUNDS)):
            for key, request in workloads.items():
                times[key].append(_cpu(server, request, environment.repeats(REQUESTS)))
    for name, count in periods.items():
        with_timelines, without = (1000 * median(times[name, selected]) for selected in (_TIMELINE, ""))
        what = f"100 skus over {VERSIONS} versions by {name}, {count:,} periods: server CPU"
        report.add(Figure("timelines", what, with_timelines, "ms", MAX_MILLISECONDS))
        report.add(Figure("timelines", f"the same page without timelines, by {name}", without, "ms"))


def _fill(environment: Environment, server: Server, mode: str) -> int:
    """Publish all versions of a list, and return the number of periods of its first page."""
    name, rows = f"timeline-{mode.lower()}", environment.rows(ROWS)
    server.create(name)
    for version in range(VERSIONS):
        mode_ = mode if version else "REPLACE"
        count = rows if mode_ == "REPLACE" else environment.repeats(MERGED)
        first = 0 if mode_ == "REPLACE" else (version % 3) * 50
        server.post(publish_body(name, f"key-{version}", prices(count, first, version), mode_))
    nodes = server.post(body(_QUERY.format(_TIMELINE), list=name))["prices"]["nodes"]
    if len(nodes) != PAGE:
        raise AssertionError(f"{len(nodes)} skus")
    return sum(len(node["timeline"]) for node in nodes)


def _cpu(server: Server, request: bytes, requests: int) -> float:
    """Return the CPU seconds that a request takes."""
    used = server.cpu_seconds()
    for _ in range(requests):
        server.post(request)
    return (server.cpu_seconds() - used) / requests
