"""A replica set whose members live in network namespaces of their own, so that each can be cut off from all others.

Wants root and iproute2. A bridge on this machine, in a private network, connects them; all of it goes at the end.
"""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from storage.mongod import find_mongod, wait_for

PORT = 27017
START_SECONDS = 60
SETTINGS = {"electionTimeoutMillis": 4_000, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 3}
"""As docs/runbook.md has it for production: MongoDB's own 10 s are for members on different continents."""
SET = "chaos"


def can_be_made() -> bool:
    """Whether this machine lets its tests make namespaces."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        return False
    name = f"pb{secrets.token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode:
        return False
    ip("netns", "del", name)
    return True


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Member:
    """A mongod in a namespace."""

    def __init__(self, folder: Path, bridge: str, network: str, number: int) -> None:
        self.name = f"{bridge}m{number}"
        self.host = f"{network}.{number + 2}"
        self._folder = folder / str(number)
        self._folder.mkdir()
        ip("netns", "add", self.name)
        ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", self.name, "master", bridge, "up")
        for inside in (["addr", "add", f"{self.host}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
            ip("-n", self.name, *inside)
        ip("-n", self.name, "link", "set", "lo", "up")
        self.process = self._start()

    @property
    def address(self) -> str:
        return f"{self.host}:{PORT}"

    def cut_off(self) -> None:
        """Let nothing through to it, nor from it."""
        ip("link", "set", self.name, "down")

    def heal(self) -> None:
        ip("link", "set", self.name, "up")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.process = self._start()

    def end(self) -> None:
        if self.process.poll() is None:
            self.kill()
        ip("netns", "del", self.name)
        with suppress(subprocess.CalledProcessError):  # it goes with its namespace, sooner or later
            ip("link", "del", self.name)

    def _start(self) -> subprocess.Popen[bytes]:
        options = ["--dbpath", str(self._folder), "--replSet", SET, "--bind_ip", f"127.0.0.1,{self.host}", "--quiet"]
        options += ["--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, str(find_mongod()), *options], stdout=log, stderr=log
            )


class Members:
    """The members of a set."""

    def __init__(self, members: list[Member]) -> None:
        self._members = members
        self.uri = f"mongodb://{','.join(each.address for each in members)}/?replicaSet={SET}"

    def primary(self) -> Member:
        """The primary that a majority follows, when there is one."""
        found: list[Member] = []

        def looked() -> bool:
            with MongoClient[dict[str, Any]](self.uri, serverSelectionTimeoutMS=1000) as client, suppress(PyMongoError):
                client.admin.command("ping")
                found.extend(each for each in self._members if client.primary == (each.host, PORT))
            return bool(found)

        assert wait_for(looked, START_SECONDS), "no primary"
        return found[0]

    def secondary(self) -> Member:
        primary = self.primary()
        return next(each for each in self._members if each is not primary)

    def initiate(self) -> None:
        """Make them a set."""
        first = self._members[0]
        hosts = [{"_id": number, "host": each.address} for number, each in enumerate(self._members)]

        def initiated() -> bool:
            with MongoClient[dict[str, Any]](
                first.host, PORT, directConnection=True, serverSelectionTimeoutMS=1000
            ) as client:
                try:
                    client.admin.command("replSetInitiate", {"_id": SET, "members": hosts, "settings": SETTINGS})
                except PyMongoError:
                    return False
            return True

        assert wait_for(initiated, START_SECONDS), "not initiated"
        self.primary()


@contextmanager
def members(folder: Path, number: int) -> Iterator[Members]:
    """A replica set of so many members."""
    token = secrets.token_hex(2)
    bridge, network = f"pb{token}", f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}"
    started: list[Member] = []
    ip("link", "add", bridge, "type", "bridge")
    try:
        ip("addr", "add", f"{network}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        started.extend(Member(folder, bridge, network, each) for each in range(number))
        found = Members(started)
        found.initiate()
        yield found
    finally:
        for each in started:
            each.end()
        ip("link", "del", bridge)
        shutil.rmtree(folder, ignore_errors=True)
