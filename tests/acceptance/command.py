"""Runs `pricebook` as a process: reads its output, stops it, and finds processes that it leaves behind."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]

OPEN = {"PRICEBOOK_ANONYMOUS": "admin", "PRICEBOOK_MAX_RATE": "0", "PRICEBOOK_LOG_FORMAT": "human"}
"""Settings of a server without access control and rate limit, with a human-readable log."""


class Command:
    """A run of `pricebook` on a data folder. SIGINT is ignored when it starts, as in `pricebook ... &` of a script."""

    def __init__(
        self, data_dir: Path, *arguments: str, stdin: int | IO[bytes] = subprocess.DEVNULL, **environ: str
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PRICEBOOK_")}
        self.data_dir = data_dir
        self.output = ""
        self.process = subprocess.Popen(
            ["sh", "-c", 'trap "" INT; exec "$0" "$@"', sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env={**inherited, **OPEN, "PRICEBOOK_DATA_DIR": str(data_dir), "PRICEBOOK_MEMBERS": "1", **environ},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, text: str | None) -> None:
        """Read the output up to a line that contains the text, or to the end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text is not None and text in line:
                return
        assert text is None, self.output

    def wait(self) -> int:
        """Read the output to its end and return the exit code."""
        self.read_until(None)
        return self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.wait()

    def processes(self) -> list[int]:
        """The processes that use its data folder, found by the environment variable that they inherit."""
        variable = b"PRICEBOOK_DATA_DIR=" + os.fsencode(self.data_dir) + b"\0"
        return [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/environ") if variable in content(each)]


@contextmanager
def running(data_dir: Path, *arguments: str, **environ: str) -> Iterator[Command]:
    command = Command(data_dir, *arguments, stdin=subprocess.DEVNULL, **environ)
    with command.process:
        try:
            yield command
        finally:
            command.stop()


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # the process has ended, or belongs to another user
        return b""


def wait_for_end(processes: list[int]) -> None:
    for process in processes:
        try:
            handle = os.pidfd_open(process)
        except ProcessLookupError:
            continue
        try:
            assert select.select([handle], [], [], 60)[0], f"Process {process} does not end."
        finally:
            os.close(handle)
