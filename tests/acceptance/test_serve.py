"""`pricebook serve` as operators run it: one process to start and stop, with all its child processes."""

import re
import signal
import sys
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from graph.http.websocket_messages import PROTOCOL
from tests.acceptance.command import running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.mark.parametrize(("workers", "number"), [("1", signal.SIGINT), ("2", signal.SIGTERM)])
def test_a_stop_signal_ends_the_server_and_the_embedded_set(
    tmp_path: Path, workers: str, number: signal.Signals
) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", PRICEBOOK_WORKERS=workers) as run:
        run.read_until("Application startup complete.")
        url = re.search(r"Listening on (\S+)/graphql", run.output)
        assert url is not None
        assert httpx.get(f"{url[1]}/healthz", trust_env=False).status_code == 200
        assert "starting an embedded MongoDB replica set" in run.output
        assert run.stop(number) == 0, run.output
        assert run.processes() == []


def test_connections_are_limited(tmp_path: Path) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", PRICEBOOK_MAX_CONNECTIONS="1") as run:
        run.read_until("Application startup complete.")
        url = re.search(r"Listening on (\S+)/graphql", run.output)
        assert url is not None
        with httpx.Client(base_url=url[1], trust_env=False) as client:
            assert client.get("/graphql?query={__typename}").status_code == 200
            assert httpx.get(f"{url[1]}/graphql", trust_env=False).status_code == 503
            assert httpx.get(f"{url[1]}/healthz", trust_env=False).status_code == 200
            assert client.get("/healthz", headers={"x": "v" * (33 << 10)}).status_code == 431


def test_a_websocket_is_not_logged_whether_it_is_refused_or_accepted(tmp_path: Path) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="0") as run:
        run.read_until("Application startup complete.")
        url = re.search(r"Listening on http(\S+)", run.output)
        assert url is not None
        with pytest.raises(InvalidStatus, match="401"):
            connect(f"ws{url[1]}", additional_headers={"Authorization": "Bearer wrong"}, proxy=None)
        with connect(f"ws{url[1]}", subprotocols=[Subprotocol(PROTOCOL)], proxy=None) as websocket:
            websocket.send('{"type": "connection_init"}')
            assert websocket.recv() == '{"type":"connection_ack"}'
        run.stop()
    assert "Application shutdown complete." in run.output
    assert not re.search("websocket|handshake", run.output, re.IGNORECASE), run.output


def test_the_configured_mongodb_is_used_and_its_password_not_shown(tmp_path: Path) -> None:
    uri = "mongodb://ada:hunter2@127.0.0.1:1/?timeoutMS=100"
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", PRICEBOOK_MONGODB_URI=uri) as run:
        run.read_until("Using the MongoDB at")
        run.stop()
    assert "mongodb://ada:***@127.0.0.1:1/" in run.output
    assert "hunter2" not in run.output


@pytest.mark.parametrize(
    ("balancers", "wide"),
    [
        ("", ""),
        ("10.1.0.0/16 172.17.0.0/16 192.168.7.0/24 fd12::/16 203.0.113.7", ""),
        ("10.1.0.0/16 10.0.0.0/8 fd00::/8", "10.0.0.0/8 and fd00::/8"),
        ("0.0.0.0/0 ::/0", "0.0.0.0/0 and ::/0"),
    ],
)
def test_a_server_that_trusts_whole_private_ranges_warns(tmp_path: Path, balancers: str, wide: str) -> None:
    uri = "mongodb://127.0.0.1:1/?timeoutMS=100"
    settings = {"PRICEBOOK_MONGODB_URI": uri, "PRICEBOOK_BALANCERS": balancers}
    with running(tmp_path, "serve", PRICEBOOK_PORT="0", **settings) as run:
        run.read_until("Using the MongoDB at")
        run.stop()
    warning = f"PRICEBOOK_BALANCERS trusts X-Forwarded-For from {wide}: a caller there can claim any address"
    assert (warning in run.output) == bool(wide)
    assert ("PRICEBOOK_BALANCERS" in run.output) == bool(wide)


def test_invalid_settings_are_reported_one_per_line(tmp_path: Path) -> None:
    with running(tmp_path, "serve", PRICEBOOK_PORT="80o0", PRICEBOOK_PROT="1") as run:
        assert run.wait() == 2
    assert run.output.splitlines() == [
        'Error: PRICEBOOK_PROT (set to "1") is not a setting. Did you mean PRICEBOOK_PORT?',
        'PRICEBOOK_PORT is "80o0"; it must be a whole number from 0 to 65535.',
    ]
