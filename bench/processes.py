"""A process that serves on a port which the system chose, watched from outside."""

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx


class Process:
    """A server process; `command` is given the listening socket's descriptor behind it.

    It has a session of its own, as what an init system or a container starts. Linux divides the cores by sessions
    first (`sched_autogroup_enabled`), and the members of the replica set have one each.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str], ready: str) -> None:
        self._command = command
        self._log = log
        self._environment = environment
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as listener, self._log.open("wb") as log:
            self._port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [*self._command, str(listener.fileno())],
                env={**os.environ, **self._environment},
                pass_fds=(listener.fileno(),),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # The socket listens already, so the first request waits until the server has started.
        httpx.get(self.address + self._ready, timeout=60).raise_for_status()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(30)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"{self.address}/graphql"

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process and of its workers."""
        return sum(map(_cpu_seconds, self._family()))

    def forget_peak_memory(self) -> None:
        """Begin to look for the peak of the resident memory anew."""
        Path(f"/proc/{self._pid}/clear_refs").write_text("5", encoding="ascii")

    def peak_memory(self) -> int:
        """Return the peak of the resident memory since `forget_peak_memory`, in bytes."""
        status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))

    def _family(self) -> list[int]:
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text(encoding="ascii")
        return [self._pid, *map(int, children.split())]

    @property
    def _pid(self) -> int:
        if self._process is None:
            raise AssertionError("The server is not running.")
        return self._process.pid


def _cpu_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
