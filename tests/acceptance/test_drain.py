"""A server shuts down without a failed request, and so do its workers when they are replaced."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from storage import Store
from tests.acceptance.command import Command, running, wait_for_end
from tests.acceptance.test_live import PUBLISHED
from tests.stack.requests import RequestLog, sending
from tests.storage.factories import create
from tests.waiting import DEADLINE_SECONDS, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

DRAIN_SECONDS = 2
WEBSOCKET = Subprotocol("graphql-transport-ws")


@pytest.fixture
async def environ(store: Store, mongodb_uri: str) -> dict[str, str]:
    """The settings of a server whose database has the list `live`."""
    await create(store, "live")
    return {"PRICEBOOK_MONGODB_URI": mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": store.db.name}


@contextmanager
def serving(
    data_dir: Path, environ: dict[str, str], workers: int = 1, drain: int = DRAIN_SECONDS
) -> Iterator[tuple[Command, str]]:
    """Run a server; yield it and its URL when it is ready."""
    settings = {"PRICEBOOK_PORT": "0", "PRICEBOOK_WORKERS": str(workers), "PRICEBOOK_DRAIN_SECONDS": str(drain)}
    with running(data_dir, "serve", **environ, **settings) as run:
        for _ in range(workers):
            run.read_until("Application startup complete.")
        url = re.search(r"Listening on (\S+)/graphql", run.output)
        assert url is not None
        yield run, url[1]


async def is_refused(requests: RequestLog, clients: int) -> bool:
    return requests.refused == clients


async def is_draining(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"{url}/readyz")).status_code == 503


def workers_of(run: Command) -> list[int]:
    """The ids of the worker processes, from the log."""
    return [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", run.output)]


async def ends(run: Command) -> int:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await asyncio.to_thread(run.wait)


async def test_no_request_fails_during_the_drain_time(tmp_path: Path, environ: dict[str, str]) -> None:
    with serving(tmp_path, environ) as (run, url):
        async with httpx.AsyncClient(trust_env=False) as http, sending(url, 20) as requests:
            await until(lambda: requests.has(100), "answered")
            assert (await http.get(f"{url}/readyz")).status_code == 200
            assert requests.closing == 0
            run.process.send_signal(signal.SIGTERM)
            readiness = await http.get(f"{url}/readyz")
            assert (readiness.status_code, readiness.json()) == (503, {"status": "draining"})
            assert readiness.headers["connection"] == "close"
            assert (await http.get(f"{url}/healthz")).status_code == 200
            before = requests.responses
            assert await ends(run) == 0, run.output
            assert requests.closing > 0
            assert requests.responses > before
            await until(lambda: is_refused(requests, 20), "refused")
            assert requests.failures == []


async def test_a_second_signal_skips_the_drain_time(tmp_path: Path, environ: dict[str, str]) -> None:
    with serving(tmp_path, environ, drain=300) as (run, url):
        run.process.send_signal(signal.SIGTERM)
        await until(lambda: is_draining(url), "draining")
        assert run.stop(signal.SIGTERM) == 0
        assert "Stopped." in run.output


async def test_subscriptions_are_broken_off_and_not_completed(tmp_path: Path, environ: dict[str, str]) -> None:
    with serving(tmp_path, environ) as (run, url):
        async with (
            asyncio.timeout(DEADLINE_SECONDS),
            httpx.AsyncClient(trust_env=False, timeout=DEADLINE_SECONDS) as http,
            connect(f"ws{url.removeprefix('http')}/graphql", subprotocols=[WEBSOCKET]) as ws,
            http.stream(
                "POST", f"{url}/graphql", json={"query": PUBLISHED}, headers={"accept": "text/event-stream"}
            ) as events,
        ):
            await ws.send('{"type": "connection_init"}')
            assert json.loads(await ws.recv())["type"] == "connection_ack"
            await ws.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": PUBLISHED}}))
            run.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012, "service restart"
            lines = [line async for line in events.aiter_lines() if line and not line.startswith(":")]
            assert lines == []
            assert await ends(run) == 0


async def test_workers_are_replaced_one_at_a_time_and_no_request_fails(tmp_path: Path, environ: dict[str, str]) -> None:
    with serving(tmp_path, environ, workers=2) as (run, url):
        before = workers_of(run)
        async with sending(url, 20) as requests:
            await until(lambda: requests.has(100), "answered")
            run.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(run.read_until, "All workers were replaced.")
            await asyncio.to_thread(wait_for_end, before)
            answered_so_far = requests.responses
            await until(lambda: requests.has(answered_so_far + 100), "answered by the new workers")
        assert (requests.failures, requests.refused) == ([], 0)
        assert run.stop(signal.SIGINT) == 0
        assert run.processes() == []


def test_workers_end_if_their_server_is_killed(tmp_path: Path, mongodb_uri: str) -> None:
    environ = {"PRICEBOOK_MONGODB_URI": mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": "test_killed"}
    with serving(tmp_path, environ, workers=2) as (run, _):
        run.process.kill()
        wait_for_end(workers_of(run))
