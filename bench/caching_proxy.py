"""`point-hot` by GET through the caching server, over the same from the server itself.

The caching server is nginx with one worker, as the chart configures it. Every answer is looked at by wrk alone: that it
is a success. Both ways take turns, and the medians of the rounds are compared.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from urllib.parse import urlencode, urlsplit

import httpx

from bench.environment import Place
from bench.prices import prices, publish_body
from bench.reads import COUNT, HOT, POINT, sku
from bench.report import Figure, Report
from tests.stack.edge import edge

SECONDS = 4
ROUNDS = 3
CONNECTIONS = 32

_SCRIPT = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = wrk.format("GET", line, {["host"] = "127.0.0.1"}) end
request = function() return paths[math.random(#paths)] end
"""


def run(place: Place, report: Report) -> None:
    """Compare with a current answer that may be a second old, and with one that nginx may not keep."""
    missing = [program for program in ("nginx", "wrk") if not shutil.which(program)]
    if missing:
        report.say(f"  left out, for {' and '.join(missing)} is not on the PATH")
        return
    queries = [
        "/graphql?" + urlencode({"query": POINT, "variables": f'{{"sku": "{sku(number * COUNT // HOT)}"}}'})
        for number in range(HOT)
    ]
    with place.server() as server:
        server.create("bench-reads")
        server.post(publish_body("bench-reads", "edge", prices(COUNT)))
    for name, age in (("kept for a second", 1), ("not kept", 0)):
        _tell(place, report, name, age, queries)


def _tell(place: Place, report: Report, name: str, age: int, queries: list[str]) -> None:
    settings = {"cache_max_age": age, "cache_stale_while_revalidate": age}
    with tempfile.TemporaryDirectory(prefix="pricebook-bench-") as folder, place.server(settings) as server:
        paths, script = Path(folder) / "paths", Path(folder) / "get.lua"
        paths.write_text("\n".join(queries), encoding="utf-8")
        script.write_text(_SCRIPT % paths, encoding="utf-8")
        kept = {"cacheMaxAge": age}
        with edge(Path(folder) / "nginx", [server.address], kept, ratePerSecond=0, workers=1) as caching:
            rates: dict[str, list[float]] = {"without": [], "with": []}
            for _ in range(ROUNDS):
                for way, url in (("without", server.address), ("with", caching.url)):
                    for query in queries:
                        httpx.get(url + query, trust_env=False).raise_for_status()
                    rates[way].append(_rate(url, script))
    for way, of in rates.items():
        report.add(Figure("edge", f"point-hot {way} the caching server, {name}", median(of), "/s"))
    report.add(Figure("edge", f"{name}: with / without", median(rates["with"]) / median(rates["without"]), ""))


def _rate(url: str, script: Path) -> float:
    address = f"http://{urlsplit(url).netloc}"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), address]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise AssertionError(told)
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    if found is None:
        raise AssertionError(told)
    return float(found[1])
