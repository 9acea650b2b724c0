"""Processes of `pricebook serve`, which keep their ports when they restart."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.stack.edge import free_port

ROOT = Path(__file__).parents[2]

READY_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 60


def command_line(root: Path) -> str:
    """Return the package of the command line in `root`; releases before 0.2 have another one."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package: str = project["scripts"]["pricebook"].partition(":")[0]
    return package


class Server:
    """A server process that runs the code in `root`; `module` is run in place of the command line."""

    def __init__(self, log: Path, environ: dict[str, str], root: Path = ROOT, module: str | None = None) -> None:
        self.log = log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("PRICEBOOK_")}
        self._environ |= environ | {"PRICEBOOK_PORT": str(self.port)}
        self._root = root
        self._module = module or command_line(root)
        self.process = self._start()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/readyz", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def restart(self) -> None:
        """Stop the server with SIGTERM, as a deployment does, start it again and wait until it is ready."""
        self.stop(signal.SIGTERM)
        self.start()

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        """Start the server again and wait until it is ready."""
        self.process = self._start()
        self.wait_until_ready()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(number)
        code = self.process.wait(STOP_TIMEOUT_SECONDS)
        assert code == 0, f"{code}: {self.log.read_text()}"

    @property
    def resident_bytes(self) -> int:
        return self._memory("VmRSS")

    @property
    def peak_bytes(self) -> int:
        """The most resident memory since `reset_peak`."""
        return self._memory("VmHWM")

    def reset_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) << 10

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", self._module, "serve"],
                cwd=self._root,
                env={**self._environ, "PYTHONPATH": str(self._root)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )


@contextmanager
def servers(folder: Path, count: int, environ: dict[str, str], root: Path = ROOT) -> Iterator[list[Server]]:
    """Run `count` servers and wait until all are ready."""
    with servers_with(folder, [environ] * count, root) as started:
        yield started


@contextmanager
def servers_with(
    folder: Path, environs: Sequence[dict[str, str]], root: Path = ROOT, module: str | None = None
) -> Iterator[list[Server]]:
    """Run a server with each of these settings and wait until all are ready."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        started = []
        for index, environ in enumerate(environs):
            server = Server(folder / f"{index}.log", environ, root, module)
            stack.callback(_stop, server)
            started.append(server)
        for server in started:
            server.wait_until_ready()
        yield started


def _stop(server: Server) -> None:
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGINT)
        try:
            server.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
