"""What drives a server for some seconds: wrk, or a generator of ours where wrk is missing.

The requests of a run stand in a file, one a line: the ETag to revalidate with (or `-`), a tab, the body.
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
class Drive:
    """What was seen: how many answers, in how many seconds; latencies in milliseconds; answers that were no success."""

    answers: int
    seconds: float
    p50: float
    p99: float
    failed: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


Request = tuple[str | None, bytes]


def drive(
    url: str, requests: Sequence[Request], seconds: int, *, in_order: bool = False, token: str | None = None
) -> Drive:
    """Send requests, chosen by chance or in their order, over kept-alive connections for so long."""
    with tempfile.TemporaryDirectory(prefix="pricebook-bench-") as folder:
        lines = Path(folder) / "requests"
        with lines.open("wb") as file:
            for etag, body in requests:
                file.write((etag or "-").encode() + b"\t" + body + b"\n")
        return (_wrk if shutil.which("wrk") else _own)(url, lines, seconds, in_order, token)


def _wrk(url: str, requests: Path, seconds: int, in_order: bool, token: str | None) -> Drive:
    script = requests.with_suffix(".lua")
    credentials = json.dumps(f"Bearer {token}") if token else "nil"
    script.write_text(_SCRIPT % (json.dumps(str(requests)), credentials, json.dumps(in_order)), encoding="utf-8")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answers, took = re.search(r"(\d+) requests in ([\d.]+)s", told).groups()  # type: ignore[union-attr]
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", told)
    return Drive(
        int(answers),
        float(took),
        _milliseconds(told, "50"),
        _milliseconds(told, "99"),
        (int(failed[1]) if failed else 0) + (sum(map(int, broken.groups())) if broken else 0),
    )


def _milliseconds(told: str, percent: str) -> float:
    value, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", told).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _own(url: str, requests: Path, seconds: int, in_order: bool, token: str | None) -> Drive:
    command = [sys.executable, "-m", "bench.generator", url, str(requests), str(seconds), str(CONNECTIONS)]
    command += ["in-order" if in_order else "by-chance", *([token] if token else [])]
    return Drive(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
