"""Cost of authentication, rate limits and metrics: `point` on an open server and on a guarded one.

The open server runs the same middleware, but without authentication, rate limits and metrics. With a revision to
compare with, a guarded server of its code takes part in each round. Compares the medians of the servers' CPU per
request over interleaved rounds, every second one in reverse order.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.drivers import Request, drive
from bench.environment import Environment
from bench.prices import prices, publish_body, sku
from bench.queries import POINT, body
from bench.report import Figure, Report
from bench.revisions import MAX_GROWTH, Revision
from bench.servers import BASELINE_DATABASE, DATABASE, Server

LIST = "bench-guards"
COUNT = 50_000
ROUNDS = 3
SECONDS = 2
WARM_UP_SECONDS = 1
SKUS = 2_000

GUARDED: Mapping[str, int | str] = {"anonymous": "", "max_rate": 1_000_000, "metrics_port": 0}
"""Settings of the guarded server."""

MODES: Mapping[str, Mapping[str, int | str]] = {"response cached": {}, "records cached": {"response_cache_bytes": 0}}

MAX_OVERHEAD = 1.1
"""Target of the guarded server's CPU per request, as a ratio to the open one's."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A server to measure: its settings, the credentials of its callers, and the source tree of its code."""

    name: str
    settings: Mapping[str, int | str]
    key: str | None = None
    tree: Path | None = None


def run(environment: Environment, report: Report) -> None:
    _publish(environment, Variant("open", {}))
    variants = [Variant("open", {}), Variant("guarded", GUARDED, _create_key(environment, DATABASE))]
    if environment.baseline:
        variants.append(_baseline(environment, environment.baseline))
    requests: list[Request] = [
        (None, body(POINT, list=LIST, sku=sku(number * environment.rows(COUNT) // SKUS))) for number in range(SKUS)
    ]
    for mode, settings in MODES.items():
        costs = _costs(environment, variants, settings, requests)
        for name, cost in costs.items():
            report.add(Figure("guards", f"point, {mode}, {name}: CPU per request", cost, "us"))
        ratio = costs["guarded"] / costs["open"]
        report.add(Figure("guards", f"point, {mode}: guarded / open", ratio, "", MAX_OVERHEAD))
        for other in variants[2:]:
            ratio = costs["guarded"] / costs[other.name]
            target = MAX_GROWTH if mode == "response cached" else None
            report.add(Figure("guards", f"point, {mode}: guarded / {other.name}", ratio, "", target))


def _baseline(environment: Environment, revision: Revision) -> Variant:
    database = {"mongodb_database": BASELINE_DATABASE}
    _publish(environment, Variant("open", database, tree=revision.tree))
    key = _create_key(environment, BASELINE_DATABASE, revision.tree)
    return Variant(f"guarded at {revision.name}", {**GUARDED, **database}, key, revision.tree)


def _publish(environment: Environment, variant: Variant) -> None:
    with environment.server(variant.settings, tree=variant.tree) as server:
        server.create(LIST)
        server.post(publish_body(LIST, "base", prices(environment.rows(COUNT))))


def _costs(
    environment: Environment,
    variants: Sequence[Variant],
    settings: Mapping[str, int | str],
    requests: Sequence[Request],
) -> dict[str, float]:
    """Return the median CPU per request of each variant, in microseconds."""
    costs: dict[str, list[float]] = {each.name: [] for each in variants}
    for number in range(environment.repeats(ROUNDS)):
        for variant in reversed(variants) if number % 2 else variants:
            with environment.server({**settings, **variant.settings}, tree=variant.tree) as server:
                costs[variant.name].append(_cost(environment, server, requests, variant.key))
    return {name: median(measured) for name, measured in costs.items()}


def _cost(environment: Environment, server: Server, requests: Sequence[Request], key: str | None) -> float:
    drive(server.url, requests, environment.seconds(WARM_UP_SECONDS), token=key)
    before = server.cpu_seconds()
    result = drive(server.url, requests, environment.seconds(SECONDS), token=key)
    if result.failed:
        raise AssertionError(f"{result.failed} requests failed.")
    return 1e6 * (server.cpu_seconds() - before) / result.responses


def _create_key(environment: Environment, database: str, tree: Path | None = None) -> str:
    command = [sys.executable, "-m", "cli", "keys", "create", "bench", "--scope", "prices:read"]
    environ = {"PRICEBOOK_MONGODB_URI": environment.mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": database}
    done = subprocess.run(command, env=environ, cwd=tree, check=True, capture_output=True, text=True)
    return done.stdout.strip()
