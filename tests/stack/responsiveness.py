"""How soon a server responds while it has other work."""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from tests.stack.servers import Server

INTERVAL_SECONDS = 0.02
"""Pause between two requests."""

TIMEOUT_SECONDS = 30.0


@dataclass
class Responsiveness:
    """What requests to `/healthz` showed.

    `lags` are the seconds of CPU that the server took from a request to its response: the delay that its own work
    causes, however busy the machine is. `delays` are the seconds that passed.
    """

    lags: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def observing(server: Server) -> Iterator[Responsiveness]:
    """Observe a server during the body, from a thread, over one connection."""
    seen, stopping = Responsiveness(), threading.Event()
    thread = threading.Thread(target=_observe, args=(server, seen, stopping))
    thread.start()
    try:
        yield seen
    finally:
        stopping.set()
        thread.join()


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that this percentage of the values does not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def _observe(server: Server, seen: Responsiveness, stopping: threading.Event) -> None:
    parts = urlsplit(server.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    while not stopping.wait(INTERVAL_SECONDS):
        started, cpu = time.monotonic(), _cpu_seconds(server)
        try:
            connection.request("GET", "/healthz")
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                seen.failures.append(str(response.status))
        except (OSError, HTTPException) as error:
            seen.failures.append(repr(error))
            connection.close()
        _add(seen, _cpu_seconds(server) - cpu, time.monotonic() - started)
    connection.close()


def _add(seen: Responsiveness, lag: float, delay: float) -> None:
    """Add a response, and those that requests would have got which this one delayed."""
    for number in range(int(delay / INTERVAL_SECONDS) + 1):
        share = 1 - number * INTERVAL_SECONDS / delay
        seen.lags.append(lag * share)
        seen.delays.append(delay * share)


def _cpu_seconds(server: Server) -> float:
    """Return the CPU time of the server, by its clock in the kernel (clock_getcpuclockid)."""
    return time.clock_gettime(~server.process.pid << 3 | 2)
