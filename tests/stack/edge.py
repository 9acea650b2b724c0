"""nginx with the configuration of the chart, in front of servers on this machine."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.stack.chart import nginx_conf

RELOAD_DELAY_SECONDS = 0.3
"""How long to wait until nginx has reloaded its configuration."""


class Edge:
    """A caching load balancer. `switch_to` moves all traffic to other servers, as a changed chart value does."""

    def __init__(
        self,
        folder: Path,
        servers: Sequence[str],
        settings: Mapping[str, object],
        balancers: Sequence[str],
        **values: object,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._balancers = balancers
        self._values = values
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._values["listen"] = f"127.0.0.1:{port}"
        self._conf = folder / "nginx.conf"
        self._configure(servers)
        user = "user root; " if os.geteuid() == 0 else ""
        command = ["nginx", "-p", str(folder), "-c", str(self._conf), "-g", f"daemon off; {user}"]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        wait_for_port(port)

    def switch_to(self, servers: Sequence[str]) -> None:
        """Route new requests to these servers."""
        self._configure(servers)
        self._process.send_signal(signal.SIGHUP)
        time.sleep(RELOAD_DELAY_SECONDS)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._log.close()

    def stored_bytes(self) -> int:
        """Return the size of cached responses, and of the temporary files, which nginx deletes while they are open."""
        workers = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        opened = [each for worker in workers for each in Path(f"/proc/{worker}/fd").iterdir()]
        temporary = (f"{self._folder}/body/", f"{self._folder}/proxy/")
        size = 0
        for file in (*opened, *(self._folder / "cache").rglob("*")):
            with suppress(FileNotFoundError):  # nginx closed or deleted it meanwhile
                if file not in opened or str(file.readlink()).startswith(temporary):
                    size += file.stat().st_size if file.is_file() else 0
        return size

    @property
    def log(self) -> str:
        """The error log."""
        return (self._folder / "log").read_text()

    def _configure(self, servers: Sequence[str]) -> None:
        addresses = [server.removeprefix("http://") for server in servers]
        self._conf.write_text(nginx_conf({**self._values, "servers": addresses}, self._settings, self._balancers))


@contextmanager
def edge(
    folder: Path,
    servers: Sequence[str],
    settings: Mapping[str, object] | None = None,
    balancers: Sequence[str] = (),
    **values: object,
) -> Iterator[Edge]:
    """Run an edge for these servers, with values of `edge` and `settings`; skip the test if nginx is not installed.

    By default responses are cached for a second, and `X-Forwarded-For` is trusted from no network.
    """
    if not shutil.which("nginx"):
        pytest.skip("nginx, the load balancer, is not on the PATH.")
    folder.mkdir(exist_ok=True)
    running = Edge(folder, servers, {"cacheMaxAge": 1, **(settings or {})}, balancers, **values)
    try:
        yield running
    finally:
        running.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"No process listens on port {port}.")
