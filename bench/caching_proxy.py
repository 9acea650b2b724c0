"""`point-hot` by GET through the caching proxy, compared with requests to the server itself.

The proxy is nginx with one worker, as the chart configures it. Only wrk checks the responses, for success. Compares the
medians of interleaved rounds.
"""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from urllib.parse import urlencode, urlsplit

import httpx

from bench.environment import Environment
from bench.prices import prices, publish_body, sku
from bench.queries import POINT
from bench.report import Figure, Report
from tests.stack.edge import edge

LIST = "bench-edge"
COUNT = 50_000
HOT = 100
SECONDS = 3
ROUNDS = 3
CONNECTIONS = 32

_SCRIPT = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = wrk.format("GET", line, {["host"] = "127.0.0.1"}) end
request = function() return paths[math.random(#paths)] end
"""


def run(environment: Environment, report: Report) -> None:
    """Measure with responses that may be one second old, and with responses that nginx may not cache."""
    missing = [program for program in ("nginx", "wrk") if not shutil.which(program)]
    if missing:
        report.say(f"  skipped: {' and '.join(missing)} not found on the PATH")
        return
    count = environment.rows(COUNT)
    variables = [json.dumps({"list": LIST, "sku": sku(number * count // HOT)}) for number in range(HOT)]
    queries = ["/graphql?" + urlencode({"query": POINT, "variables": each}) for each in variables]
    with environment.server() as server:
        server.create(LIST)
        server.post(publish_body(LIST, "base", prices(count)))
    for name, age in (("cached for a second", 1), ("not cached", 0)):
        _measure(environment, report, name, age, queries)


def _measure(environment: Environment, report: Report, name: str, age: int, queries: list[str]) -> None:
    settings = {"cache_max_age": age, "cache_stale_while_revalidate": age}
    with tempfile.TemporaryDirectory(prefix="pricebook-bench-") as folder, environment.server(settings) as server:
        paths, script = Path(folder) / "paths", Path(folder) / "get.lua"
        paths.write_text("\n".join(queries), encoding="utf-8")
        script.write_text(_SCRIPT % paths, encoding="utf-8")
        values = {"cacheMaxAge": age}
        with edge(Path(folder) / "nginx", [server.address], values, ratePerSecond=0, workers=1) as proxy:
            rates: dict[str, list[float]] = {"without": [], "with": []}
            for _ in range(environment.repeats(ROUNDS)):
                for mode, url in (("without", server.address), ("with", proxy.url)):
                    with httpx.Client(base_url=url, trust_env=False) as client:
                        for query in queries:
                            client.get(query).raise_for_status()
                    rates[mode].append(_rate(url, script, environment.repeats(SECONDS)))
    for mode, measured in rates.items():
        report.add(Figure("edge", f"point-hot {mode} the proxy, {name}", median(measured), "/s"))
    report.add(Figure("edge", f"{name}: with / without", median(rates["with"]) / median(rates["without"]), ""))


def _rate(url: str, script: Path, seconds: int) -> float:
    address = f"http://{urlsplit(url).netloc}"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), address]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise AssertionError(output)
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None:
        raise AssertionError(output)
    return float(found[1])
