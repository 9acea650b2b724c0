"""Scaled-down copies of Pricebook on this machine: each has a name, its own MongoDB, data, log and port.

They live in `copies/NAME` of the data folder, with `copy.json`: the port and the number of members they had last. A
copy runs for as long as somebody holds the lock of its MongoDB, however that process ends.
"""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.output import Column, Output
from cli.startup import BadSettings, listen
from storage.embedded_mongodb.lock_file import owner

STOP_SECONDS = 60

_COLUMNS = (
    Column("NAME", lambda copy: copy["name"]),
    Column("STATE", lambda copy: copy["state"]),
    Column("URL", lambda copy: copy["url"]),
    Column("MEMBERS", lambda copy: copy["members"], numeric=True),
    Column("MIB", lambda copy: copy["bytes"] >> 20, numeric=True),
)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy, by its folder."""

    folder: Path

    @classmethod
    def of(cls, data_dir: Path, name: str) -> "Copy":
        """Return the copy of that name, which need not be there."""
        return cls(data_dir / "copies" / name)

    @classmethod
    def found(cls, data_dir: Path, name: str) -> "Copy":
        """Return the copy of that name. Raises `BadSettings` where there is none."""
        copy = cls.of(data_dir, name)
        if not copy.folder.is_dir():
            raise BadSettings(f"There is no copy {name}. `pricebook dev --list` shows which there are.")
        return copy

    @property
    def name(self) -> str:
        """Its name."""
        return self.folder.name

    @property
    def process(self) -> int | None:
        """The id of the process that runs it; None where it does not run."""
        return owner(self.folder / "mongodb" / "lock")

    @property
    def port(self) -> int | None:
        """The port that it had last."""
        port: int | None = self._remembered().get("port")
        return port

    @property
    def members(self) -> int | None:
        """The number of members of its MongoDB."""
        members: int | None = self._remembered().get("members")
        return members

    def listen(self, host: str, port: int | None) -> socket.socket:
        """Open a socket on this port, or without one on that of last time, or on any that is free."""
        if port is None and self.port is not None:
            try:
                return listen(host, self.port, "")
            except BadSettings:
                click.echo(f"Port {self.port} of last time is taken; another one is used.", err=True)
        return listen(host, port or 0, "Choose another port with --port, or none.")

    def remember(self, port: int, members: int) -> None:
        """Keep what the next start takes up again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "copy.json").write_text(json.dumps({"port": port, "members": members}), encoding="utf-8")

    def stop(self) -> None:
        """Stop it and return when it has ended. Raises `BadSettings` where it does not run."""
        process = self.process
        if process is None:
            raise BadSettings(f"The copy {self.name} does not run.")
        os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self.process is not None:
            if time.monotonic() > deadline:
                raise click.ClickException(f"Process {process} did not end within {STOP_SECONDS} s.")
            time.sleep(0.1)

    def remove(self) -> None:
        """Delete its data. Raises `BadSettings` while it runs."""
        if self.process is not None:
            raise BadSettings(f"The copy {self.name} runs. Stop it first: pricebook dev --stop {self.name}")
        shutil.rmtree(self.folder)

    def told(self) -> dict[str, Any]:
        """Return what a table tells of it."""
        running = self.process is not None
        return {
            "name": self.name,
            "state": "running" if running else "stopped",
            "url": f"http://127.0.0.1:{self.port}/graphql" if running and self.port else None,
            "members": self.members,
            "bytes": sum(file.stat().st_blocks * 512 for file in self.folder.rglob("*") if file.is_file()),
        }

    def _remembered(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / "copy.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found


def copies(data_dir: Path) -> Sequence[Copy]:
    """Return all copies, by name."""
    folder = data_dir / "copies"
    return [Copy(each) for each in sorted(folder.iterdir()) if each.is_dir()] if folder.is_dir() else []


def print_copies(data_dir: Path, *, as_json: bool) -> None:
    """Print a table of all copies, or JSON."""
    nothing = "There are no copies. `pricebook dev --name NAME` starts one."
    Output(as_json=as_json).rows((copy.told() for copy in copies(data_dir)), _COLUMNS, nothing)
