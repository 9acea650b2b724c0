"""The members of the replica set, which must run on this machine: their CPU time, and the size of their data."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from bench.processes import cpu_seconds


class Members:
    """Finds the processes of the members once: none of them may restart."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._idle_rate = 0.0
        with MongoClient[dict[str, Any]](uri) as client:
            hosts = [host.rpartition(":") for host in client.admin.command("hello")["hosts"]]
            self._addresses = [(host, int(port)) for host, _, port in hosts]
        self._pids = [int(pid) for pid in self._each(lambda member: member.admin.command("serverStatus")["pid"])]

    @property
    def count(self) -> int:
        """The number of members."""
        return len(self._addresses)

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

    def memory(self) -> int:
        """Return the memory that all members have allocated, in bytes; free memory that they keep does not count."""
        return int(
            sum(
                self._each(
                    lambda member: member.admin.command("serverStatus")["tcmalloc"]["generic"][
                        "current_allocated_bytes"
                    ]
                )
            )
        )

    def files(self) -> int:
        """Return the number of files with data or an index in the folders of all members."""
        options = self._each(lambda member: member.admin.command("getCmdLineOpts"))
        return sum(len(list(Path(each["parsed"]["storage"]["dbPath"]).glob("**/*.wt"))) for each in options)

    def open_handles(self) -> int:
        """Return the number of collections and indexes that are open in all members."""
        statuses = self._each(lambda member: member.admin.command("serverStatus"))
        return sum(
            int(each["wiredTiger"]["data-handle"]["connection data handles currently active"]) for each in statuses
        )

    def _each(self, ask: Callable[[MongoClient[dict[str, Any]]], Any]) -> list[Any]:
        answers = []
        for host, port in self._addresses:
            with MongoClient[dict[str, Any]](host, port, directConnection=True) as member:
                answers.append(ask(member))
        return answers
