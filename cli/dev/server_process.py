"""The server as a child process of `pricebook dev`: started, waited for, watched, stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

import click
import httpx

from cli.startup import address_of, ignore_stop_signals
from graph.settings import Settings
from storage.embedded_mongodb import parent_death

READY_SECONDS = 60
"""How long a server may take until it is ready; far more than it should ever need."""

STOP_SECONDS = 10
"""How long a server may take to finish before it is killed; nothing published is lost by that."""

_POLL_SECONDS = 0.1
_LOG_LINES = 20


class ServerFailed(click.ClickException):
    """The server ended by itself or did not become ready; shows the end of its log."""

    def __init__(self, what: str, log: Path) -> None:
        with log.open(encoding="utf-8", errors="replace") as lines:
            last = "".join(f"  {line}" for line in deque(lines, _LOG_LINES)).rstrip()
        super().__init__(f"{what} The end of its log, {log}:\n{last or '  (it is empty)'}")


class ServerProcess:
    """A server on an inherited socket; a context manager that leaves no process behind.

    It runs in a session of its own, so that Ctrl-C in the terminal reaches only whoever started it, and it ends
    with the thread that started it, even when that is killed.
    """

    def __init__(self, settings: Settings, listener: socket.socket, log: Path) -> None:
        self.url = address_of(listener)
        self.log = log
        fd = listener.fileno()
        command = [sys.executable, "-m", "cli", "serve", "--fd", str(fd)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), *command],
                env={**os.environ, **settings.to_environment()},
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

    def wait_until_ready(self) -> None:
        """Return when the server can take requests; raises `ServerFailed` when it ends or takes too long."""
        deadline = time.monotonic() + READY_SECONDS
        with httpx.Client(trust_env=False, timeout=5) as client:
            while not self._is_ready(client):
                if time.monotonic() > deadline:
                    raise ServerFailed(f"The server was not ready after {READY_SECONDS} s.", self.log)
                self._watch(_POLL_SECONDS)

    def wait(self) -> None:
        """Wait for as long as the server runs, then raise `ServerFailed`: nobody told it to end."""
        self._watch(None)

    def stop(self) -> None:
        """Let the server finish what is in flight and wait for its end; kill it when that takes too long."""
        ignore_stop_signals()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # its workers are in its process group
            self._process.wait()

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
        raise ServerFailed(f"The server ended by itself with exit code {code}.", self.log)
