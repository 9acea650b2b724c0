"""`pricebook dev` as a person meets it: one command, real processes, nothing left behind."""

import json
import os
import re
import shlex
import signal
import socket
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.command import Command, content, running, wait_for_end

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

READY = "Press Ctrl-C to stop."
WHAT_IS_SERVED = """{
  ecb: snapshot(priceList: "ecb") { version size label }
  history: snapshot(priceList: "ecb-history") { version size label price(sku: "USD/1999-01-04") { amount } }
}"""


def post(endpoint: str, body: str) -> dict[str, Any]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        answer = client.post(endpoint, content=body, headers={"content-type": "application/json"}).json()
    assert "errors" not in answer
    found: dict[str, Any] = answer["data"]
    return found


def dev(data_dir: Path, *arguments: str, **environ: str) -> AbstractContextManager[Command]:
    """On a port that the system chose."""
    return running(data_dir, "dev", "--port", "0", *arguments, **environ)


def ask(run: Command, query: str) -> dict[str, Any]:
    endpoint = re.search(r"GraphQL endpoint +(\S+)", run.said)
    assert endpoint is not None
    return post(endpoint[1], json.dumps({"query": query}))


@dataclass(frozen=True)
class FirstRun:
    data_dir: Path
    said: str
    served: dict[str, Any]
    pasted: dict[str, Any]
    processes: list[int]
    left_behind: list[int]
    exit_code: int


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    """A run on an empty folder, up to the message, then stopped by Ctrl-C."""
    data_dir = tmp_path_factory.mktemp("data")
    with dev(data_dir) as run:
        run.listen_until(READY)
        served, pasted, processes = ask(run, WHAT_IS_SERVED), paste(run.said), run.processes()
        exit_code = run.stop()
        return FirstRun(data_dir, run.said, served, pasted, processes, run.processes(), exit_code)


def paste(said: str) -> dict[str, Any]:
    """What the curl line of the closing message would get."""
    line = next(line for line in said.splitlines() if line.strip().startswith("curl "))
    _, _, endpoint, _, header, _, body = shlex.split(line)
    assert header == "content-type: application/json"
    return post(endpoint, body)


def test_both_lists_are_published_and_served(first_run: FirstRun) -> None:
    ecb, history = first_run.served["ecb"], first_run.served["history"]
    assert ecb["version"] == 30
    assert history["version"] == 1
    assert history["size"] > 200_000
    assert history["price"] == {"amount": "1.1789"}
    assert ecb["label"] == history["label"]
    assert f"{history['size']:,} prices" in first_run.said


def test_the_message_ends_in_a_query_that_is_answered(first_run: FirstRun) -> None:
    assert [price["sku"] for price in first_run.pasted["snapshot"]["pricesBySku"]] == ["USD", "GBP", "JPY"]
    assert "In the browser" in first_run.said
    assert "Open to everyone   on this machine" in first_run.said


def test_ctrl_c_stops_everything_it_started(first_run: FirstRun) -> None:
    assert len(first_run.processes) == 3, "itself, the server, one mongod"
    assert first_run.exit_code == 0
    assert first_run.left_behind == []
    assert "Stopped." in first_run.said


def test_a_second_run_finds_its_data(first_run: FirstRun) -> None:
    with dev(first_run.data_dir) as run:
        run.listen_until(READY)
        assert "Skipped ecb: version 30 is there" in run.said
        assert "Skipped ecb-history: version 1 is there" in run.said
        assert "Publishing" not in run.said
        assert ask(run, WHAT_IS_SERVED) == first_run.served


def test_a_run_after_a_kill_finds_its_data(first_run: FirstRun) -> None:
    with dev(first_run.data_dir) as killed:
        killed.listen_until(READY)
        processes = killed.processes()
        killed.process.kill()
        killed.process.wait()
        with dev(first_run.data_dir) as run:
            run.listen_until(READY)
            assert ask(run, WHAT_IS_SERVED) == first_run.served
            wait_for_end(processes)


def test_sigterm_stops_everything_too(first_run: FirstRun) -> None:
    with dev(first_run.data_dir, "--no-demo") as run:
        run.listen_until(READY)
        assert run.stop(signal.SIGTERM) == 0
        assert run.processes() == []


def test_a_server_that_dies_is_told_with_the_end_of_its_log(first_run: FirstRun) -> None:
    with dev(first_run.data_dir, "--no-demo") as run:
        run.listen_until(READY)
        [server] = [each for each in run.processes() if b"\0serve\0" in content(Path(f"/proc/{each}/cmdline"))]
        os.kill(server, signal.SIGKILL)
        assert run.wait() == 1
        assert "The server ended by itself with exit code -9. The end of its log" in run.said
        assert "Listening on http://127.0.0.1:" in run.said
        assert run.processes() == []


def test_a_taken_port_is_named_with_the_option_to_change_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with dev(tmp_path, "--port", str(port)) as run:
            assert run.wait() == 2
    assert run.said.startswith(f"Error: Cannot listen on port {port} of 127.0.0.1: it is in use. ")
    assert "--port" in run.said


def test_a_bad_setting_is_one_line(tmp_path: Path) -> None:
    with dev(tmp_path, PRICEBOOK_WORKERS="many") as run:
        assert run.wait() == 2
    assert run.said == 'Error: PRICEBOOK_WORKERS is "many"; it must be a whole number from 1 to 64.\n'
