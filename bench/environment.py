"""The environment of a run: its replica set, the folder for logs and files, and the scale of the benchmarks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from bench.processes import Process
from bench.revisions import Revision
from bench.servers import BASELINE_DATABASE, DATABASE, Server

MIN_SECONDS = 0.2
MIN_ROWS = 300
"""Rows of the smallest list of a trial run: `multi100` reads 100 different ones."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Starts servers on one replica set, with their logs in one folder."""

    mongodb_uri: str
    folder: Path
    baseline: Revision | None = None
    """The revision to compare with, if any."""
    scale: float = 1.0
    """Factor of rows, rounds and seconds: 1, or less for a trial run."""
    layers: int | None = None
    """The number of layers that `scale-layers` creates, if not its own."""

    def rows(self, count: int) -> int:
        """Return the number of rows to use instead of `count`."""
        return min(count, max(MIN_ROWS, round(count * self.scale)))

    def repeats(self, count: int) -> int:
        """Return the number of rounds or requests to use instead of `count`, at least 1."""
        return max(1, round(count * self.scale))

    def seconds(self, duration: float) -> float:
        """Return the seconds of load to use instead of `duration`."""
        return max(MIN_SECONDS, duration * self.scale)

    def server(
        self,
        settings: Mapping[str, int | str] | None = None,
        *,
        metered: bool = False,
        tree: Path | None = None,
        cores: Collection[int] = (),
    ) -> Server:
        """Return a Pricebook server, as a context manager. Its code is that of a source tree, or of this one."""
        log = self.folder / "server.log"
        return Server(self.mongodb_uri, log, settings or {}, metered=metered, tree=tree, cores=cores)

    def clear(self, *databases: str) -> None:
        """Drop the data of a benchmark, so that the next starts with empty databases."""
        with MongoClient[dict[str, Any]](self.mongodb_uri) as client:
            for name in databases or (DATABASE, BASELINE_DATABASE):
                client.drop_database(name)
                client.drop_database(f"{name}_layers")

    def other(self, *command: str, ready: str, **environment: str) -> Process:
        """Return another server to compare with, as a context manager."""
        return Process(command, self.folder / "other.log", environment, ready)
