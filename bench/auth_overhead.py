"""Cost of authentication, rate limits and metrics: `point` on an open server and on a guarded one.

The open server runs the same middleware, but without authentication, rate limits and metrics. Compares the medians of
the server's CPU per request over interleaved rounds.
"""

import subprocess
import sys
from collections.abc import Mapping
from statistics import median

from bench.drivers import Request, drive
from bench.environment import Environment
from bench.prices import prices, publish_body
from bench.reads import COUNT, POINT, body, sku
from bench.report import Figure, Report
from bench.servers import DATABASE, Server

ROUNDS = 5
SECONDS = 4
SKUS = 2_000

GUARDED: Mapping[str, int | str] = {"anonymous": "", "max_rate": 1_000_000, "metrics_port": 0}
"""Settings of the guarded server."""

MODES: Mapping[str, Mapping[str, int | str]] = {"response cached": {}, "records cached": {"response_cache_bytes": 0}}


def run(environment: Environment, report: Report) -> None:
    with environment.server() as server:
        server.create("bench-reads")
        server.post(publish_body("bench-reads", "base", prices(COUNT)))
    key = _create_key(environment)
    requests: list[Request] = [(None, body(POINT, sku=sku(number * COUNT // SKUS))) for number in range(SKUS)]
    for mode, settings in MODES.items():
        costs: dict[str, list[float]] = {"open": [], "guarded": []}
        for _ in range(ROUNDS):
            with environment.server(settings) as server:
                costs["open"].append(_cost(server, requests, None))
            with environment.server({**settings, **GUARDED}) as server:
                costs["guarded"].append(_cost(server, requests, key))
        before, after = median(costs["open"]), median(costs["guarded"])
        report.add(Figure("guards", f"point, {mode}, open: CPU per request", before, "us"))
        report.add(Figure("guards", f"point, {mode}, guarded: CPU per request", after, "us"))
        report.add(Figure("guards", f"point, {mode}: guarded / open", after / before, "", 1.1))


def _cost(server: Server, requests: list[Request], key: str | None) -> float:
    drive(server.url, requests, 2, token=key)
    before = server.cpu_seconds()
    result = drive(server.url, requests, SECONDS, token=key)
    if result.failed:
        raise AssertionError(f"{result.failed} requests failed.")
    return 1e6 * (server.cpu_seconds() - before) / result.responses


def _create_key(environment: Environment) -> str:
    command = [sys.executable, "-m", "cli", "keys", "create", "bench", "--scope", "prices:read"]
    environ = {"PRICEBOOK_MONGODB_URI": environment.mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": DATABASE}
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()
