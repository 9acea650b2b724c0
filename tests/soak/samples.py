"""Samples of what must stay bounded: the memory of the servers, layers, and collections of staged rows."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from tests.soak.model import ListModel
from tests.stack.servers import Server

INTERVAL_SECONDS = 5.0

MIN_SAMPLES = 100
"""Fewer samples than these have no plateau to compare with."""

MAX_GROWTH = {"MiB of a server": 1.5, "layers": 2.0, "layers of a version": 2.0, "staging collections": 3.0}
"""Largest ratio of the greatest late sample to the greatest early one, beyond `MARGINS`."""

MARGINS = {"MiB of a server": 64, "layers": 50, "layers of a version": 16, "staging collections": 10}


@dataclass
class Samples:
    """Samples of several sizes, by name."""

    taken: dict[str, list[int]] = field(default_factory=dict)

    async def run(self, uri: str, database: str, servers: Sequence[Server], lists: Sequence[ListModel]) -> None:
        """Take samples until cancelled."""
        async with AsyncMongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=5_000) as client:
            while True:
                try:
                    layers = await client[f"{database}_layers"].list_collection_names()
                    others = await client[database].list_collection_names()
                    depths = [await _depth(client, database, each) for each in lists]
                except PyMongoError:  # an election
                    continue
                finally:
                    await asyncio.sleep(INTERVAL_SECONDS)
                self._add("layers", len(layers))
                self._add("layers of a version", max(depths))
                self._add("staging collections", sum(name.startswith("staging") for name in others))
                self._add("MiB of a server", max(_resident(server) for server in servers) >> 20)

    def _add(self, name: str, value: int) -> None:
        self.taken.setdefault(name, []).append(value)

    def growth(self) -> list[str]:
        """Return which sizes grew: late samples are compared with those of the second fifth."""
        found = []
        for name, values in self.taken.items():
            fifth = len(values) // 5
            early, late = max(values[fifth : 2 * fifth], default=0), max(values[3 * fifth :], default=0)
            if len(values) >= MIN_SAMPLES and late > MAX_GROWTH[name] * early + MARGINS[name]:
                found.append(f"{name}: {early} early, {late} late; all: {values}")
        return found

    def report(self) -> str:
        """Return a few samples of each size, and the greatest."""
        return "\n".join(
            f"{name}: {values[:: max(1, len(values) // 12)]}, greatest {max(values)}"
            for name, values in self.taken.items()
        )


async def _depth(client: AsyncMongoClient[dict[str, Any]], database: str, found: ListModel) -> int:
    """Return the number of layers of the newest version that names any."""
    snapshots = client[database]["snapshots"].find({"_id.list": found.name}, {"layers": 1}).sort("_id.version", -1)
    async for snapshot in snapshots.limit(1):
        return len(snapshot.get("layers", ()))
    return 0


def _resident(server: Server) -> int:
    try:
        return server.resident_bytes
    except (OSError, AssertionError):  # it is restarting
        return 0
