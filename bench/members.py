"""The members of the replica set, which must run on this machine: their CPU time, and the size of their data."""

import time
from collections.abc import Iterable
from typing import Any

from pymongo import MongoClient

from bench.processes import cpu_seconds


class Members:
    """Finds the processes of the members once: none of them may restart."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._idle_rate = 0.0
        with MongoClient[dict[str, Any]](uri) as client:
            client.admin.command("ping")
            self._pids = [_pid(host, port) for host, port in client.nodes if port is not None]

    def measure_idle(self, seconds: float) -> float:
        """Return the CPU seconds per second that the members use now, for heartbeats and idle change streams."""
        self._idle_rate = 0.0
        before = self.cpu_seconds()
        time.sleep(seconds)
        self._idle_rate = (self.cpu_seconds() - before) / seconds
        return self._idle_rate

    def cpu_seconds(self) -> float:
        """Return the CPU time of all members, without that of idle ones. Only differences have a meaning."""
        return sum(map(cpu_seconds, self._pids)) - self._idle_rate * time.monotonic()

    def bytes_on_disk(self, databases: Iterable[str]) -> int:
        """Return the size of the collections and indexes of some databases on the primary, after a checkpoint."""
        with MongoClient[dict[str, Any]](self._uri) as client:
            client.admin.command("fsync")
            stats = [client[name].command("dbStats") for name in databases]
        return sum(int(each["storageSize"] + each["indexSize"]) for each in stats)


def _pid(host: str, port: int) -> int:
    with MongoClient[dict[str, Any]](host, port, directConnection=True) as member:
        return int(member.admin.command("serverStatus")["pid"])
