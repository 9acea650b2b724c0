"""Load on a server for some seconds: from wrk, or from `bench.generator` if wrk is not installed.

wrk counts whole seconds, so the load of a trial run, which takes less than one, comes from `bench.generator`.

The requests of a run are in a file, one per line: the ETag to revalidate with (or `-`), a tab, the body.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32

_SCRIPT = """
local requests = {}
for line in io.lines(%s) do
  local etag, body = line:match("^(%%S+)\\t(.*)$")
  local headers = {["host"] = "127.0.0.1", ["content-type"] = "application/json", ["authorization"] = %s}
  if etag ~= "-" then headers["if-none-match"] = etag end
  requests[#requests + 1] = wrk.format("POST", nil, headers, body)
end
local last = 0
request = function()
  last = %s and last %% #requests + 1 or math.random(#requests)
  return requests[last]
end
"""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Number of responses, seconds, latencies in milliseconds, and number of failed requests."""

    responses: int
    seconds: float
    p50: float
    p99: float
    failed: int

    @property
    def rate(self) -> float:
        """Responses per second."""
        return self.responses / self.seconds


Request = tuple[str | None, bytes]
"""The ETag to revalidate with, if any, and the body."""


def drive(
    url: str, requests: Sequence[Request], seconds: float, *, in_order: bool = False, token: str | None = None
) -> LoadResult:
    """Send requests over kept-alive connections for some seconds, in random order or in the given one."""
    with tempfile.TemporaryDirectory(prefix="pricebook-bench-") as folder:
        lines = Path(folder) / "requests"
        with lines.open("wb") as file:
            for etag, body in requests:
                file.write((etag or "-").encode() + b"\t" + body + b"\n")
        return (_wrk if seconds >= 1 and shutil.which("wrk") else _generator)(url, lines, seconds, in_order, token)


def _wrk(url: str, requests: Path, seconds: float, in_order: bool, token: str | None) -> LoadResult:
    script = requests.with_suffix(".lua")
    credentials = json.dumps(f"Bearer {token}") if token else "nil"
    script.write_text(_SCRIPT % (json.dumps(str(requests)), credentials, json.dumps(in_order)), encoding="utf-8")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--latency", "-s", str(script), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    responses, seconds_taken = re.search(r"(\d+) requests in ([\d.]+)s", output).groups()  # type: ignore[union-attr]
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return LoadResult(
        int(responses),
        float(seconds_taken),
        _milliseconds(output, "50"),
        _milliseconds(output, "99"),
        (int(failed[1]) if failed else 0) + (sum(map(int, broken.groups())) if broken else 0),
    )


def _milliseconds(output: str, percent: str) -> float:
    value, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", output).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _generator(url: str, requests: Path, seconds: float, in_order: bool, token: str | None) -> LoadResult:
    command = [sys.executable, "-m", "bench.generator", url, str(requests), str(seconds), str(CONNECTIONS)]
    command += ["in-order" if in_order else "random", *([token] if token else [])]
    return LoadResult(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
