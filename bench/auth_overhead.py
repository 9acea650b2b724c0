"""What identity, limits and metrics cost: `point` by a server that is open, and by one that has its guards up.

The open server still passes every guard: it knows nobody, counts no rates and shows no metrics. Medians of interleaved
rounds; what is compared is the server's CPU for a request.
"""

import subprocess
import sys
from collections.abc import Mapping
from statistics import median

from bench.drivers import Request, drive
from bench.environment import Place
from bench.prices import prices, publish_body
from bench.reads import COUNT, POINT, body, sku
from bench.report import Figure, Report
from bench.servers import DATABASE, Server

ROUNDS = 5
SECONDS = 4
SKUS = 2_000

GUARDED: Mapping[str, int | str] = {"anonymous": "", "max_rate": 1_000_000, "metrics_port": 0}
WAYS: Mapping[str, Mapping[str, int | str]] = {"answer cached": {}, "records cached": {"response_cache_bytes": 0}}


def run(place: Place, report: Report) -> None:
    with place.server() as server:
        server.create("bench-reads")
        server.post(publish_body("bench-reads", "base", prices(COUNT)))
    key = _key(place)
    requests: list[Request] = [(None, body(POINT, sku=sku(number * COUNT // SKUS))) for number in range(SKUS)]
    for way, settings in WAYS.items():
        costs: dict[str, list[float]] = {"open": [], "guarded": []}
        for _ in range(ROUNDS):
            with place.server(settings) as server:
                costs["open"].append(_cost(server, requests, None))
            with place.server({**settings, **GUARDED}) as server:
                costs["guarded"].append(_cost(server, requests, key))
        before, after = median(costs["open"]), median(costs["guarded"])
        report.add(Figure("guards", f"point, {way}, open: CPU a request", before, "us"))
        report.add(Figure("guards", f"point, {way}, guarded: CPU a request", after, "us"))
        report.add(Figure("guards", f"point, {way}: guarded / open", after / before, "", 1.1))


def _cost(server: Server, requests: list[Request], key: str | None) -> float:
    drive(server.url, requests, 2, token=key)
    before = server.cpu_seconds()
    seen = drive(server.url, requests, SECONDS, token=key)
    if seen.failed:
        raise AssertionError(f"{seen.failed} requests failed.")
    return 1e6 * (server.cpu_seconds() - before) / seen.answers


def _key(place: Place) -> str:
    command = [sys.executable, "-m", "cli", "keys", "create", "bench", "--scope", "prices:read"]
    environ = {"PRICEBOOK_MONGODB_URI": place.mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": DATABASE}
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()
