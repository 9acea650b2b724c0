"""Server CPU of reads with and without each cache, next to limits that are measured in the same run.

The limits are a constant of the size of a price from plain Starlette under the same uvicorn, and PyMongo reading the
same prices, one document each. Unlike throughput, the CPU per request does not depend on how much of the machine the
load generator needs. 50,000 prices with attributes; requests in random order. With a revision to compare with, a server
of its code takes part in interleaved rounds.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from pymongo import MongoClient

from bench.bare_inserts import documents, insert
from bench.drivers import Request, drive
from bench.environment import Environment
from bench.measurement import Run
from bench.plot import plot
from bench.prices import prices, publish_body
from bench.processes import Process
from bench.read_workloads import LIST, MODES, POINT, WORKLOADS, Target, Workload
from bench.report import Figure, Report
from bench.revisions import MAX_GROWTH, Revision
from bench.servers import BASELINE_DATABASE, Server

COUNT = 50_000
SECONDS = 3
COMPARED_ROUNDS = 3
COMPARED_SECONDS = 2

IDLE_CHECK_SECONDS, IDLE_CPU_SECONDS = 0.5, 0.03
"""A server that uses less CPU in this time is idle. After its first read it loads a list in the background."""

COMPARED = ("response cached", "records cached")
"""Modes in which another revision is compared with."""


def run(environment: Environment, report: Report) -> None:
    rows = prices(environment.rows(COUNT))
    with environment.server() as server:
        _publish(server, rows)
        requests = POINT.bodies(server, len(rows))
        size = len(server.send(requests[0]).content)
    with MongoClient[dict[str, Any]](environment.mongodb_uri) as client:
        insert(client, documents(rows))
    constant = _constant(environment, requests, size)
    runs = [constant, *(_bare(environment, each, len(rows)) for each in WORKLOADS)]
    for each in runs:
        _report(report, each, Target())
    for mode in MODES:
        for workload, measured in _measure(environment, mode, len(rows)).items():
            target = workload.targets[mode]
            _report(report, measured, target)
            if target.share:
                name = f"{workload.name}, {mode}: share of the constant"
                report.add(Figure("reads", name, constant.cpu / measured.cpu, "", at_least=target.share))
            runs.append(measured)
    if environment.scale == 1:
        report.say(f"  plot: {plot(runs)}")
    if environment.baseline:
        _compare(environment, report, environment.baseline, rows)


def _publish(server: Server, rows: Sequence[dict[str, Any]]) -> None:
    server.create(LIST)
    server.post(publish_body(LIST, "base", rows))


def _measure(environment: Environment, mode: str, count: int) -> dict[Workload, Run]:
    runs = {}
    with environment.server(MODES[mode]) as server:
        for workload in _workloads(mode):
            requests = _prepare(environment, server, workload, mode, count)
            runs[workload] = _drive(environment, server, workload.name, mode, requests, SECONDS)
    return runs


def _workloads(mode: str) -> list[Workload]:
    return [each for each in WORKLOADS if mode in each.targets]


def _prepare(environment: Environment, server: Server, workload: Workload, mode: str, count: int) -> list[Request]:
    """Fill the caches of the mode with a workload, and return its requests."""
    bodies = workload.bodies(server, count)
    for each in bodies[:: max(1, len(bodies) // 50)]:
        if not server.post(each):
            raise AssertionError("There is no version to read.")
    requests: list[Request] = [(None, each) for each in bodies]
    if mode == "response cached":
        drive(server.url, requests, environment.seconds(1 + 3 * len(bodies) // 10_000), in_order=True)
    if mode == "revalidated (304)":
        requests = [(server.send(each).headers["etag"], each) for each in bodies]
    drive(server.url, requests, environment.seconds(1))
    used = -1.0
    while server.cpu_seconds() - used > IDLE_CPU_SECONDS:
        used = server.cpu_seconds()
        time.sleep(IDLE_CHECK_SECONDS)
    return requests


def _drive(
    environment: Environment, server: Process, workload: str, mode: str, requests: Sequence[Request], seconds: float
) -> Run:
    before = server.cpu_seconds()
    result = drive(server.url, requests, environment.seconds(seconds))
    cpu = 1e6 * (server.cpu_seconds() - before) / result.responses
    if result.failed:
        raise AssertionError(f"{workload}, {mode}: {result.failed} requests failed.")
    return Run(workload, mode, cpu, result.rate, result.p50, result.p99)


def _constant(environment: Environment, bodies: Sequence[bytes], size: int) -> Run:
    command = (sys.executable, "-m", "bench.run_app", "bench.constant:app")
    requests: list[Request] = [(None, each) for each in bodies]
    with environment.other(*command, ready="/readyz", BENCH_CONSTANT_BYTES=str(size)) as server:
        drive(server.url, requests, environment.seconds(1))
        return _drive(environment, server, POINT.name, "constant", requests, SECONDS)


def _bare(environment: Environment, workload: Workload, count: int) -> Run:
    command = [sys.executable, "-m", "bench.bare_reads", environment.mongodb_uri, workload.name]
    command += [str(count), str(environment.seconds(SECONDS))]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Run(workload.name, "PyMongo alone", result["cpu"], result["rate"], result["p50"], result["p99"])


def _report(report: Report, run: Run, target: Target) -> None:
    name = f"{run.workload}, {run.mode}"
    report.add(Figure("reads", f"{name}: CPU per request", run.cpu, "us", target.cpu))
    report.add(Figure("reads", f"{name}: responses", run.rate, "/s"))
    report.add(Figure("reads", f"{name}: p50", run.p50, "ms"))
    report.add(Figure("reads", f"{name}: p99", run.p99, "ms"))


def _compare(environment: Environment, report: Report, revision: Revision, rows: Sequence[dict[str, Any]]) -> None:
    """Compare the CPU per request with that of another revision, in rounds of which every second one is reversed."""
    database = {"mongodb_database": BASELINE_DATABASE}
    with environment.server(database, tree=revision.tree) as server:
        _publish(server, rows)
    for mode in COMPARED:
        with (
            environment.server(MODES[mode]) as server,
            environment.server({**MODES[mode], **database}, tree=revision.tree) as other,
        ):
            for workload in _workloads(mode):
                requests = {each: _prepare(environment, each, workload, mode, len(rows)) for each in (server, other)}
                cpu: dict[Server, list[float]] = {server: [], other: []}
                for round_ in range(environment.repeats(COMPARED_ROUNDS)):
                    for each in (other, server) if round_ % 2 else (server, other):
                        run = _drive(environment, each, workload.name, mode, requests[each], COMPARED_SECONDS)
                        cpu[each].append(run.cpu)
                ratio = median(cpu[server]) / median(cpu[other])
                report.add(Figure("reads", f"{workload.name}, {mode} / {revision.name}", ratio, "", MAX_GROWTH))
