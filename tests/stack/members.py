"""A replica set whose members can be killed, and isolated from all others.

The members run in network namespaces (`tests.stack.namespaces`) if the machine supports them, and are isolated by
blocking their traffic. Otherwise a member is isolated by pausing it with SIGSTOP.
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

START_TIMEOUT_SECONDS = 60
SETTINGS = {"electionTimeoutMillis": 4_000, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 3}
"""The settings that docs/runbook.md recommends: MongoDB's default of 10 s suits members on different continents."""
REPLICA_SET = "chaos"


class Member:
    """A mongod, in a network namespace if it is given one."""

    def __init__(self, folder: Path, namespace: namespaces.Namespace | None) -> None:
        self._folder = folder
        self._folder.mkdir()
        self._namespace = namespace
        self.address = (namespace.host, namespaces.PORT) if namespace else ("127.0.0.1", free_port())
        self.process = self._start()

    def isolate(self) -> None:
        """Block all traffic to and from the member."""
        if self._namespace:
            self._namespace.isolate()
        else:
            self.process.send_signal(signal.SIGSTOP)

    def reconnect(self) -> None:
        if self._namespace:
            self._namespace.reconnect()
        else:
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.process = self._start()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        host, port = self.address
        options = ["--dbpath", str(self._folder), "--replSet", REPLICA_SET, "--port", str(port), "--quiet"]
        options += ["--bind_ip", ",".join(dict.fromkeys(("127.0.0.1", host)))]
        options += ["--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]
        prefix = self._namespace.command if self._namespace else []
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen([*prefix, str(find_mongod()), *options], stdout=log, stderr=log)


class Members:
    """The members of a replica set."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        addresses = ",".join(f"{host}:{port}" for host, port in (each.address for each in members))
        self.uri = f"mongodb://{addresses}/?replicaSet={REPLICA_SET}"

    def primary(self) -> Member:
        """Wait for a primary that a majority follows and return it."""
        found: list[Member] = []

        def find() -> bool:
            with MongoClient[dict[str, Any]](self.uri, serverSelectionTimeoutMS=1000) as client, suppress(PyMongoError):
                client.admin.command("ping")
                found.extend(each for each in self._members if client.primary == each.address)
            return bool(found)

        assert wait_for(find, START_TIMEOUT_SECONDS), "no primary"
        return found[0]

    def secondary(self) -> Member:
        primary = self.primary()
        return next(each for each in self._members if each is not primary)

    def initiate(self) -> None:
        """Initiate the replica set."""
        hosts = [{"_id": number, "host": ":".join(map(str, each.address))} for number, each in enumerate(self._members)]

        def initiate() -> bool:
            with MongoClient[dict[str, Any]](
                *self._members[0].address, directConnection=True, serverSelectionTimeoutMS=1000
            ) as client:
                try:
                    client.admin.command(
                        "replSetInitiate", {"_id": REPLICA_SET, "members": hosts, "settings": SETTINGS}
                    )
                except PyMongoError:
                    return False
            return True

        assert wait_for(initiate, START_TIMEOUT_SECONDS), "not initiated"
        self.primary()


@contextmanager
def members(folder: Path, count: int) -> Iterator[Members]:
    """Run a replica set of `count` members."""
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        hosts = stack.enter_context(namespaces.connected(count)) if namespaces.are_supported() else [None] * count
        started: list[Member] = []
        for index, namespace in enumerate(hosts):
            started.append(Member(folder / str(index), namespace))
            stack.callback(started[-1].stop)
        replica_set = Members(started)
        replica_set.initiate()
        yield replica_set
