"""Where a run takes place: a replica set of its own, and a folder for the servers' logs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from bench.processes import Process
from bench.servers import DATABASE, Server


@dataclass(frozen=True, slots=True)
class Place:
    """The replica set's URI, and the folder."""

    mongodb_uri: str
    folder: Path

    def server(self, settings: Mapping[str, int | str] | None = None, *, metered: bool = False) -> Server:
        """Return a server to be entered; see `Server`."""
        return Server(self.mongodb_uri, self.folder / "server.log", settings or {}, metered=metered)

    def clear(self) -> None:
        """Forget what a benchmark left, so that the next has the place to itself."""
        with MongoClient[dict[str, Any]](self.mongodb_uri) as client:
            client.drop_database(DATABASE)

    def other(self, *command: str, ready: str, **environment: str) -> Process:
        """Return another server to compare with."""
        return Process(command, self.folder / "other.log", environment, ready)
