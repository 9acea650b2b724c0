"""Named instances of Pricebook on this machine, each with its own MongoDB, data, log and port.

The folder of an instance is `instances/NAME` of the data folder. Its `instance.json` records the last port and number
of members. An instance runs while a process holds the lock of its MongoDB, however that process ends.
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

import click

from cli.client import Json
from cli.output import Column, Output
from cli.startup import BadSettings, listen
from storage.embedded_mongodb.lock_file import owner

INSTANCE_STOP_TIMEOUT_SECONDS = 60
"""Longest wait for an instance to end."""

_COLUMNS = (
    Column("NAME", lambda instance: instance["name"]),
    Column("STATE", lambda instance: instance["state"]),
    Column("URL", lambda instance: instance["url"]),
    Column("MEMBERS", lambda instance: instance["members"], numeric=True),
    Column("MIB", lambda instance: instance["bytes"] >> 20, numeric=True),
)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance, identified by its folder."""

    folder: Path

    @classmethod
    def of(cls, data_dir: Path, name: str) -> "Instance":
        """Return the instance of that name, which may not exist yet."""
        return cls(data_dir / "instances" / name)

    @classmethod
    def existing(cls, data_dir: Path, name: str) -> "Instance":
        """Return the instance of that name. Raises `BadSettings` if it does not exist."""
        instance = cls.of(data_dir, name)
        if not instance.folder.is_dir():
            raise BadSettings(f"There is no instance {name}. `pricebook dev --list` shows all instances.")
        return instance

    @property
    def name(self) -> str:
        """The name."""
        return self.folder.name

    @property
    def process(self) -> int | None:
        """The id of the process that runs the instance; None if it is stopped."""
        return owner(self.folder / "mongodb" / "lock")

    @property
    def port(self) -> int | None:
        """The last port."""
        port: int | None = self._record().get("port")
        return port

    @property
    def members(self) -> int | None:
        """The last number of members of its MongoDB."""
        members: int | None = self._record().get("members")
        return members

    def listen(self, host: str, port: int | None) -> socket.socket:
        """Listen on a port; by default on the last one, or on any free port if that is in use."""
        if port is None and self.port is not None:
            try:
                return listen(host, self.port, "")
            except BadSettings:
                click.echo(f"The last port, {self.port}, is in use; another one is used.", err=True)
        return listen(host, port or 0, "Choose another port with --port, or omit it.")

    def save(self, port: int, members: int) -> None:
        """Record the port and the number of members for the next start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"port": port, "members": members}), encoding="utf-8")

    def stop(self) -> None:
        """Stop the instance and wait until it has ended. Raises `BadSettings` if it is not running."""
        process = self.process
        if process is None:
            raise BadSettings(f"The instance {self.name} is not running.")
        os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + INSTANCE_STOP_TIMEOUT_SECONDS
        while self.process is not None:
            if time.monotonic() > deadline:
                raise click.ClickException(f"Process {process} did not end within {INSTANCE_STOP_TIMEOUT_SECONDS} s.")
            time.sleep(0.1)

    def remove(self) -> None:
        """Delete the data of the instance. Raises `BadSettings` if it is running."""
        if self.process is not None:
            raise BadSettings(f"The instance {self.name} is running. Stop it first: pricebook dev --stop {self.name}")
        shutil.rmtree(self.folder)

    def describe(self) -> Json:
        """Return the row of the instance in a table."""
        is_running = self.process is not None
        return {
            "name": self.name,
            "state": "running" if is_running else "stopped",
            "url": f"http://127.0.0.1:{self.port}/graphql" if is_running and self.port else None,
            "members": self.members,
            "bytes": sum(file.stat().st_blocks * 512 for file in self.folder.rglob("*") if file.is_file()),
        }

    @property
    def _file(self) -> Path:
        return self.folder / "instance.json"

    def _record(self) -> Json:
        try:
            record: Json = json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return record


def instances(data_dir: Path) -> Sequence[Instance]:
    """Return all instances, by name."""
    folder = data_dir / "instances"
    return [Instance(each) for each in sorted(folder.iterdir()) if each.is_dir()] if folder.is_dir() else []


def print_instances(data_dir: Path, *, as_json: bool) -> None:
    """Print all instances as a table or as JSON."""
    empty = "There are no instances. `pricebook dev --name NAME` starts one."
    Output(as_json=as_json).rows((instance.describe() for instance in instances(data_dir)), _COLUMNS, empty)
