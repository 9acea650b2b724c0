"""The parts of benchmarks: generated files, the CPU of members and of pinned servers, counted commands, reports."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from bench import report as reports
from bench.environment import MIN_ROWS, Environment
from bench.members import Members
from bench.merges import _rows
from bench.prices import prices, publish_body, sku, write_rows
from bench.processes import Process
from bench.queries import POINT, body, walk
from bench.report import Figure, Report
from tests.stack.replica_set import BreakableReplicaSet

IDLE_SERVER = """
import http.server, socket, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[-1]))
server.serve_forever()
"""


def lines(count: int, version: int = 0) -> list[dict[str, Any]]:
    file = io.BytesIO()
    write_rows(file, count, version)
    return [json.loads(line) for line in file]


def test_a_file_has_every_price_once_in_random_order() -> None:
    written = lines(1000)
    assert [each["sku"] for each in written] != sorted(each["sku"] for each in written)
    expected = {each["sku"]: each for each in prices(1000)}
    for each in written:
        other = expected.pop(each["sku"])
        assert {**each, "amount": None} == {**other, "amount": None}
    assert not expected


def test_another_version_of_a_file_has_other_amounts() -> None:
    first, second = ({each["sku"]: each["amount"] for each in lines(1000, version)} for version in (0, 1))
    assert first.keys() == second.keys()
    assert sum(first[each] == second[each] for each in first) < 10


def test_half_of_the_prices_of_a_merge_are_new_and_lie_between_the_others() -> None:
    existing = {sku(number) for number in range(1000)}
    skus = [each["sku"] for each in _rows(200, 1000, round_=0)]
    assert len(set(skus)) == 200
    new = set(skus) - existing
    assert len(new) == 100
    assert all(sku(0) < each <= f"{sku(999)}~" for each in new)
    assert not new & {each["sku"] for each in _rows(200, 1000, round_=1)}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_pinned_server_runs_on_its_cores_with_all_threads(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    with Process((sys.executable, "-c", IDLE_SERVER), tmp_path / "log", {}, "/", cores={core}) as server:
        threads = Path(f"/proc/{server._pid}/task").iterdir()
        assert {cores for each in threads for cores in os.sched_getaffinity(int(each.name))} == {core}


def test_inserts_cost_cpu_of_the_members_and_space_on_disk(own_replica_set: BreakableReplicaSet) -> None:
    members = Members(own_replica_set.uri)
    assert sorted(members._pids) == sorted(each.pid for each in own_replica_set.members())
    assert 0 <= Members(own_replica_set.uri).measure_idle(0.5) < 3
    cpu, size = members.cpu_seconds(), members.bytes_on_disk(["bench"])
    with MongoClient[dict[str, Any]](own_replica_set.uri) as client:
        client["bench"]["rows"].insert_many({"random": os.urandom(100)} for _ in range(20_000))
    assert members.cpu_seconds() > cpu
    assert members.bytes_on_disk(["bench"]) > size + 20_000 * 100


def test_a_metered_server_counts_its_commands_by_collection(environment: Environment) -> None:
    with environment.server({"cache_bytes": 0, "response_cache_bytes": 0}, metered=True) as server:
        server.create("metered")
        server.post(publish_body("metered", "first", prices(MIN_ROWS)))
        assert len(walk(server, "metered", MIN_ROWS)) == 0
        before = server.commands()
        assert server.post(body(POINT, list="metered", sku=sku(7)))["price"]["sku"] == sku(7)
        asked = server.commands() - before
        assert [target.partition(".")[0] for target in asked if target.startswith("layer.")] == ["layer"]
        server.longest_block()
        server.post(publish_body("metered", "second", prices(MIN_ROWS)))
        assert server.longest_block() > 0


def test_the_targets_of_a_trial_run_are_shown_but_not_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reports, "RESULTS", tmp_path / "results")
    for scale in (1.0, 0.01):
        report = Report("a machine", scale)
        report.add(Figure("batches", "prices / bare", 0.9, "", 0.6))
        report.print()
        output = capsys.readouterr().out
        assert "<= 0.6" in output
        assert ("MISSED" in output) == (scale == 1)
        assert ("trial run" in output) == (scale < 1)


def test_a_scale_reduces_rows_rounds_and_seconds(tmp_path: Path) -> None:
    full, trial = Environment("", tmp_path), Environment("", tmp_path, scale=0.01)
    assert (full.rows(50_000), full.repeats(5), full.seconds(3)) == (50_000, 5, 3)
    assert (trial.rows(50_000), trial.rows(1000), trial.rows(10)) == (500, MIN_ROWS, 10)
    assert (trial.repeats(5), trial.repeats(500)) == (1, 5)
    assert trial.seconds(3) < 1


def test_a_server_that_does_not_become_ready_is_stopped(tmp_path: Path) -> None:
    unready = IDLE_SERVER.replace("send_response(200)", "send_response(503)")
    process = Process((sys.executable, "-c", unready), tmp_path / "log", {}, "/readyz")
    with pytest.raises(httpx.HTTPStatusError, match="503"), process:
        pass
    assert process._process is not None
    assert process._process.poll() is not None
