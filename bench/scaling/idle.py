"""1,000 lists and 20 servers with nothing to do: the CPU of the members, and of each server.

The servers are processes of their own, as `pricebook serve` starts them, with their change stream, heartbeat and
worker. The members' CPU is beyond what they use for one another without any server.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from bench.environment import Environment
from bench.members import Members
from bench.prices import prices, publish_body
from bench.report import Figure, Report
from bench.scaling.stored import Stored
from bench.servers import Server

LISTS = 1_000
SERVERS = 20
PRICES = 3

STARTED_AT_ONCE = 4
ALONE_SECONDS = 15
WRITTEN_SECONDS = 15
"""Time after the lists were written for the members that apply and flush them."""

SETTLE_SECONDS = 35
"""A server does everything that it does periodically at least once in this time."""

IDLE_SECONDS = 60

MAX_CORES = 0.05


def run(environment: Environment, report: Report) -> None:
    members = Members(environment.mongodb_uri)
    with environment.server() as server:
        server.create("idle")
        server.post(publish_body("idle", "first", prices(PRICES)))
    with Stored(environment.mongodb_uri) as stored:
        stored.copy_list("idle", [f"idle-{number}" for number in range(1, environment.repeats(LISTS))])
    time.sleep(environment.seconds(WRITTEN_SECONDS))
    alone = members.measure_idle(environment.seconds(ALONE_SECONDS))
    report.add(Figure("scale-idle", "members without a server", alone, "cores"))
    with ExitStack() as stack:
        count = max(2, environment.repeats(SERVERS))
        with ThreadPoolExecutor(STARTED_AT_ONCE) as pool:
            servers = list(pool.map(lambda _: stack.enter_context(environment.server()), range(count)))
        time.sleep(environment.seconds(SETTLE_SECONDS))
        of_members, of_servers = _cores(members, servers, environment.seconds(IDLE_SECONDS))
    what = f"{SERVERS} servers and {LISTS:,} lists:"
    report.add(Figure("scale-idle", f"{what} members, all together", of_members, "cores", MAX_CORES))
    report.add(Figure("scale-idle", f"{what} the busiest server", max(of_servers), "cores", MAX_CORES))
    report.add(Figure("scale-idle", f"{what} servers, mean", sum(of_servers) / len(of_servers), "cores"))


def _cores(members: Members, servers: list[Server], seconds: float) -> tuple[float, list[float]]:
    """Return the CPU seconds per second of the members, and of each server."""
    started, members_before = time.monotonic(), members.cpu_seconds()
    before = [server.cpu_seconds() for server in servers]
    time.sleep(seconds)
    elapsed = time.monotonic() - started
    of_servers = [(server.cpu_seconds() - used) / elapsed for server, used in zip(servers, before, strict=True)]
    return (members.cpu_seconds() - members_before) / elapsed, of_servers
