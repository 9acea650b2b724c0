"""The environment of a run: its replica set, and the folder for the logs of the servers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from bench.processes import Process
from bench.revisions import Revision
from bench.servers import BASELINE_DATABASE, DATABASE, Server


@dataclass(frozen=True, slots=True)
class Environment:
    """Starts servers on one replica set, with their logs in one folder."""

    mongodb_uri: str
    folder: Path
    baseline: Revision | None = None
    """The revision to compare with, if any."""

    def server(
        self, settings: Mapping[str, int | str] | None = None, *, metered: bool = False, tree: Path | None = None
    ) -> Server:
        """Return a Pricebook server, as a context manager. Its code is that of a source tree, or of this one."""
        return Server(self.mongodb_uri, self.folder / "server.log", settings or {}, metered=metered, tree=tree)

    def clear(self) -> None:
        """Drop the data of a benchmark, so that the next starts with an empty database."""
        with MongoClient[dict[str, Any]](self.mongodb_uri) as client:
            for name in (DATABASE, BASELINE_DATABASE):
                client.drop_database(name)

    def other(self, *command: str, ready: str, **environment: str) -> Process:
        """Return another server to compare with, as a context manager."""
        return Process(command, self.folder / "other.log", environment, ready)
