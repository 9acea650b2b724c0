"""A server process on a port that the system chooses, with its CPU time and memory."""

import os
import socket
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx


class Process:
    """A server process. The descriptor of its listening socket is the last argument of `command`.

    It runs in `folder`, or else in that of this process; `python -c` and `python -m` import its code from there. If
    `cores` are given, its threads run on them only, as with `taskset`.

    It runs in its own session, like a process that an init system or a container starts. Linux divides the cores by
    session first (`sched_autogroup_enabled`), and each member of the replica set has its own.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        ready: str,
        folder: Path | None = None,
        cores: Collection[int] = (),
    ) -> None:
        self._command = command
        self._folder = folder
        self._log = log
        self._environment = environment
        self._ready = ready
        self._cores = cores
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as listener, self._log.open("wb") as log:
            self._port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [*self._command, str(listener.fileno())],
                cwd=self._folder,
                env={**os.environ, **self._environment},
                pass_fds=(listener.fileno(),),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            if self._cores:
                # The interpreter has just started: threads that it creates later inherit the cores.
                os.sched_setaffinity(self._process.pid, self._cores)
        try:
            # The socket already listens, so the request waits until the server has started.
            httpx.get(self.address + self._ready, timeout=60).raise_for_status()
        except BaseException:
            self.__exit__()
            raise
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
        """Return the CPU time of the process and its workers."""
        return sum(map(cpu_seconds, self._pids()))

    def reset_peak_memory(self) -> None:
        """Reset the peak of the resident memory."""
        Path(f"/proc/{self._pid}/clear_refs").write_text("5", encoding="ascii")

    def peak_memory(self) -> int:
        """Return the peak of the resident memory since `reset_peak_memory`, in bytes."""
        status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))

    def _pids(self) -> list[int]:
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text(encoding="ascii")
        return [self._pid, *map(int, children.split())]

    @property
    def _pid(self) -> int:
        if self._process is None:
            raise AssertionError("The server is not running.")
        return self._process.pid


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, in seconds."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
