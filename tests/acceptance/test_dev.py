"""`pricebook dev` as users run it: one command, real processes, no process left behind."""

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
SERVED_VERSIONS = """{
  ecb: snapshot(priceList: "ecb") { version size label }
  history: snapshot(priceList: "ecb-history") { version size label price(sku: "USD/1999-01-04") { amount } }
}"""


def post(endpoint: str, body: str) -> dict[str, Any]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        body_json = client.post(endpoint, content=body, headers={"content-type": "application/json"}).json()
    assert "errors" not in body_json
    data: dict[str, Any] = body_json["data"]
    return data


def dev(data_dir: Path, *arguments: str, **environ: str) -> AbstractContextManager[Command]:
    """Run `pricebook dev` on a free port."""
    return running(data_dir, "dev", "--port", "0", *arguments, **environ)


def ask(run: Command, query: str) -> dict[str, Any]:
    return post(endpoint_of(run.output), json.dumps({"query": query}))


def endpoint_of(output: str) -> str:
    endpoint = re.search(r"GraphQL endpoint +(\S+)", output)
    assert endpoint is not None
    return endpoint[1]


@dataclass(frozen=True)
class FirstRun:
    data_dir: Path
    output: str
    served: dict[str, Any]
    pasted: dict[str, Any]
    allowed_origin: str | None
    console: httpx.Response
    checked: str
    processes: list[int]
    left_behind: list[int]
    exit_code: int


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    """A run on an empty folder until it is ready, then stopped by Ctrl-C."""
    data_dir = tmp_path_factory.mktemp("data")
    with dev(data_dir) as run:
        run.read_until(READY)
        served, pasted, processes = ask(run, SERVED_VERSIONS), paste(run.output), run.processes()
        origin = allowed_origin(run.output)
        console, checked = open_console(run.output), check(data_dir, run.output)
        exit_code = run.stop()
        return FirstRun(
            data_dir, run.output, served, pasted, origin, console, checked, processes, run.processes(), exit_code
        )


def paste(output: str) -> dict[str, Any]:
    """The response to the curl command in the closing message."""
    line = next(line for line in output.splitlines() if line.strip().startswith("curl "))
    _, _, endpoint, _, header, _, body = shlex.split(line)
    assert header == "content-type: application/json"
    return post(endpoint, body)


def allowed_origin(output: str) -> str | None:
    """The origin that may send requests, by the answer to a page of Vite's server."""
    headers = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
    with httpx.Client(trust_env=False, timeout=30) as client:
        allowed: str | None = client.options(endpoint_of(output), headers=headers).headers.get(
            "access-control-allow-origin"
        )
    return allowed


def open_console(output: str) -> httpx.Response:
    """The page of the console in the closing message."""
    console = re.search(r"Console +(\S+)", output)
    assert console is not None
    cookies = {"pricebook-zone": "UTC"}  # as a browser has after its first request
    with httpx.Client(trust_env=False, timeout=30, follow_redirects=True, cookies=cookies) as client:
        return client.get(console[1])


def check(data_dir: Path, output: str) -> str:
    """The output of `pricebook check` after the export command in the closing message."""
    _, assignment = shlex.split(next(line for line in output.splitlines() if line.strip().startswith("export ")))
    with running(data_dir, "check", "ecb", **dict([assignment.split("=", 1)])) as checking:
        checking.wait()
    return checking.output


def test_both_lists_are_published_and_served(first_run: FirstRun) -> None:
    ecb, history = first_run.served["ecb"], first_run.served["history"]
    assert ecb["version"] == 30
    assert history["version"] == 1
    assert history["size"] > 200_000
    assert history["price"] == {"amount": "1.1789"}
    assert ecb["label"] == history["label"]
    assert f"{history['size']:,} prices" in first_run.output


def test_the_closing_message_has_a_query_and_a_uri_that_work(first_run: FirstRun) -> None:
    assert [price["sku"] for price in first_run.pasted["snapshot"]["pricesBySku"]] == ["USD", "GBP", "JPY"]
    assert "In the browser" in first_run.output
    assert "Credentials        none needed" in first_run.output
    assert "Everything is sound. Checked 1 of 1 lists" in first_run.checked
    assert "those of Next, Vite, Angular and webpack servers here may send requests" in first_run.output
    assert first_run.allowed_origin == "http://localhost:5173"


def test_the_console_needs_no_token(first_run: FirstRun) -> None:
    assert first_run.console.url.path == "/"
    assert "ecb-history" in first_run.console.text


def test_ctrl_c_stops_everything_it_started(first_run: FirstRun) -> None:
    assert len(first_run.processes) == 4, "itself, the server, the console, one mongod"
    assert first_run.exit_code == 0
    assert first_run.left_behind == []
    assert "Stopped." in first_run.output


def test_a_second_run_finds_its_data(first_run: FirstRun) -> None:
    with dev(first_run.data_dir) as run:
        run.read_until(READY)
        assert "Skipped ecb: version 30 is current" in run.output
        assert "Skipped ecb-history: version 1 is current" in run.output
        assert "Publishing" not in run.output
        assert ask(run, SERVED_VERSIONS) == first_run.served


def test_a_run_after_a_kill_finds_its_data(first_run: FirstRun) -> None:
    with dev(first_run.data_dir) as killed:
        killed.read_until(READY)
        processes = killed.processes()
        killed.process.kill()
        killed.process.wait()
        with dev(first_run.data_dir) as run:
            run.read_until(READY)
            assert ask(run, SERVED_VERSIONS) == first_run.served
            wait_for_end(processes)


def test_sigterm_stops_everything_too(first_run: FirstRun) -> None:
    with dev(first_run.data_dir, "--no-demo") as run:
        run.read_until(READY)
        assert run.stop(signal.SIGTERM) == 0
        assert run.processes() == []


def test_if_the_server_dies_the_end_of_its_log_is_printed(first_run: FirstRun) -> None:
    with dev(first_run.data_dir, "--no-demo") as run:
        run.read_until(READY)
        [server] = [each for each in run.processes() if b"\0serve\0" in content(Path(f"/proc/{each}/cmdline"))]
        os.kill(server, signal.SIGKILL)
        assert run.wait() == 1
        assert "The server ended unexpectedly with exit code -9. The end of its log" in run.output
        assert "Listening on http://127.0.0.1:" in run.output
        assert run.processes() == []


def test_a_port_in_use_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with dev(tmp_path, "--port", str(port)) as run:
            assert run.wait() == 2
    assert run.output.startswith(f"Error: Cannot listen on port {port} of 127.0.0.1: it is in use. ")
    assert "--port" in run.output


def test_an_invalid_setting_is_reported_on_one_line(tmp_path: Path) -> None:
    with dev(tmp_path, PRICEBOOK_WORKERS="many") as run:
        assert run.wait() == 2
    assert run.output == 'Error: PRICEBOOK_WORKERS is "many"; it must be a whole number from 1 to 64.\n'
