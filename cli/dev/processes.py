"""The server and the console as child processes of `pricebook dev`."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import click
import httpx

from cli.startup import ignore_stop_signals, url_of
from graph.settings import Settings
from storage.embedded_mongodb import parent_death

READY_TIMEOUT_SECONDS = 60
"""Longest start of a server; far more than it needs."""

STOP_TIMEOUT_SECONDS = 10
"""Longest shutdown before a process is killed, which loses nothing that was published."""

_POLL_INTERVAL_SECONDS = 0.1
_LOG_LINES_SHOWN = 20


class ServerFailed(click.ClickException):
    """The server ended unexpectedly or did not become ready; the message has the end of its log."""

    def __init__(self, problem: str, log: Path) -> None:
        with log.open(encoding="utf-8", errors="replace") as lines:
            last = "".join(f"  {line}" for line in deque(lines, _LOG_LINES_SHOWN)).rstrip()
        super().__init__(f"{problem} The end of its log, {log}:\n{last or '  (empty)'}")


class ChildProcess:
    """A command of `pricebook` on an inherited socket; a context manager that leaves no process behind.

    It runs in a session of its own, so that Ctrl-C in the terminal reaches only `pricebook dev`. It ends with the
    thread that started it, even if that is killed.
    """

    def __init__(self, command: Sequence[str], listener: socket.socket, log: Path, environ: Mapping[str, str]) -> None:
        self.url = url_of(listener)
        self.log = log
        fd = listener.fileno()
        process = [sys.executable, "-m", "cli", *command, "--fd", str(fd)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), *process],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[fd],
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let the process finish its requests and wait until it ends; kill it if that takes too long."""
        ignore_stop_signals()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # includes its workers
            self._process.wait()


class ConsoleProcess(ChildProcess):
    """The console of an endpoint."""

    def __init__(self, endpoint: str, listener: socket.socket, log: Path) -> None:
        environ = {name: value for name, value in os.environ.items() if name != "PRICEBOOK_TOKEN"}  # none is needed
        super().__init__(["console", "--endpoint", endpoint, "--no-browser"], listener, log, environ)


class ServerProcess(ChildProcess):
    """The server."""

    def __init__(self, settings: Settings, listener: socket.socket, log: Path) -> None:
        super().__init__(["serve"], listener, log, {**os.environ, **settings.to_environment()})

    def wait_until_ready(self) -> None:
        """Wait until the server accepts requests. Raises `ServerFailed` if it ends or takes too long."""
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        with httpx.Client(trust_env=False, timeout=5) as client:
            while not self._is_ready(client):
                if time.monotonic() > deadline:
                    raise ServerFailed(f"The server was not ready after {READY_TIMEOUT_SECONDS} s.", self.log)
                self._watch(_POLL_INTERVAL_SECONDS)

    def wait(self) -> None:
        """Wait until the server ends, which is unexpected. Raises `ServerFailed`."""
        self._watch(None)

    def _is_ready(self, client: httpx.Client) -> bool:
        try:
            return client.get(f"{self.url}/readyz").is_success
        except httpx.TransportError:
            return False

    def _watch(self, timeout: float | None) -> None:
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return
        raise ServerFailed(f"The server ended unexpectedly with exit code {code}.", self.log)
