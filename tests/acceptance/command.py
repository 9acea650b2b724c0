"""`pricebook` as a process of its own: started, listened to, stopped, and whatever it leaves behind found."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]

OPEN = {"PRICEBOOK_ANONYMOUS": "admin", "PRICEBOOK_MAX_RATE": "0", "PRICEBOOK_LOG_FORMAT": "human"}
"""The environment of a server that everybody may use, as often as they like, and whose log people read."""


class Command:
    """A run of `pricebook` on a data folder."""

    def __init__(self, data_dir: Path, *arguments: str, **environ: str) -> None:
        others = {name: value for name, value in os.environ.items() if not name.startswith("PRICEBOOK_")}
        self.data_dir = data_dir
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env={**others, **OPEN, "PRICEBOOK_DATA_DIR": str(data_dir), "PRICEBOOK_MEMBERS": "1", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def listen_until(self, text: str | None) -> None:
        """Take in what it says up to a line that holds the text, or to the end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if text is not None and text in line:
                return
        assert text is None, self.said

    def wait(self) -> int:
        """Its exit code, when it has said everything."""
        self.listen_until(None)
        return self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.wait()

    def processes(self) -> list[int]:
        """Whatever runs on its data folder, by the environment that every process inherits from it."""
        mark = b"PRICEBOOK_DATA_DIR=" + os.fsencode(self.data_dir) + b"\0"
        return [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/environ") if mark in content(each)]


@contextmanager
def running(data_dir: Path, *arguments: str, **environ: str) -> Iterator[Command]:
    command = Command(data_dir, *arguments, **environ)
    with command.process:
        try:
            yield command
        finally:
            command.stop()


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # the process has ended, or is another user's
        return b""


def wait_for_end(processes: list[int]) -> None:
    for process in processes:
        try:
            handle = os.pidfd_open(process)
        except ProcessLookupError:
            continue
        try:
            assert select.select([handle], [], [], 60)[0], f"{process} does not end"
        finally:
            os.close(handle)
