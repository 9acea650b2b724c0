"""A replica set whose members can be killed and cut off, each from all others.

Where the machine allows it they live in network namespaces (`tests.stack.namespaces`), which nothing is let through to;
elsewhere a member that is cut off is held by SIGSTOP, so that it hears and says nothing.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from storage.embedded_mongodb.mongod import find_mongod, wait_for
from tests.stack import namespaces
from tests.stack.edge import free_port

START_SECONDS = 60
SETTINGS = {"electionTimeoutMillis": 4_000, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 3}
"""As docs/runbook.md has it for production: MongoDB's own 10 s are for members on different continents."""
SET = "chaos"


class Member:
    """A mongod; in a namespace, if it is given one."""

    def __init__(self, folder: Path, namespace: namespaces.Namespace | None) -> None:
        self._folder = folder
        self._folder.mkdir()
        self._namespace = namespace
        self.address = (namespace.host, namespaces.PORT) if namespace else ("127.0.0.1", free_port())
        self.process = self._start()

    def cut_off(self) -> None:
        """Let nothing through to it, nor from it."""
        if self._namespace:
            self._namespace.close()
        else:
            self.process.send_signal(signal.SIGSTOP)

    def heal(self) -> None:
        if self._namespace:
            self._namespace.open()
        else:
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.process = self._start()

    def end(self) -> None:
        if self.process.poll() is None:
            self.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        host, port = self.address
        options = ["--dbpath", str(self._folder), "--replSet", SET, "--port", str(port), "--quiet"]
        options += ["--bind_ip", ",".join(dict.fromkeys(("127.0.0.1", host)))]
        options += ["--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]
        within = self._namespace.command if self._namespace else []
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen([*within, str(find_mongod()), *options], stdout=log, stderr=log)


class Members:
    """The members of a set."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        addresses = ",".join(f"{host}:{port}" for host, port in (each.address for each in members))
        self.uri = f"mongodb://{addresses}/?replicaSet={SET}"

    def primary(self) -> Member:
        """The primary that a majority follows, when there is one."""
        found: list[Member] = []

        def looked() -> bool:
            with MongoClient[dict[str, Any]](self.uri, serverSelectionTimeoutMS=1000) as client, suppress(PyMongoError):
                client.admin.command("ping")
                found.extend(each for each in self._members if client.primary == each.address)
            return bool(found)

        assert wait_for(looked, START_SECONDS), "no primary"
        return found[0]

    def secondary(self) -> Member:
        primary = self.primary()
        return next(each for each in self._members if each is not primary)

    def initiate(self) -> None:
        """Make them a set."""
        hosts = [{"_id": number, "host": ":".join(map(str, each.address))} for number, each in enumerate(self._members)]

        def initiated() -> bool:
            with MongoClient[dict[str, Any]](
                *self._members[0].address, directConnection=True, serverSelectionTimeoutMS=1000
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
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        apart = [None] * number if not namespaces.can_be_made() else stack.enter_context(namespaces.connected(number))
        started: list[Member] = []
        for each, namespace in enumerate(apart):
            started.append(Member(folder / str(each), namespace))
            stack.callback(started[-1].end)
        found = Members(started)
        found.initiate()
        yield found
