"""The heartbeats of the processes: each announces the pointer revisions that it serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.mongodb import leases
from storage.mongodb.connection import FORMAT, Database

HEARTBEAT_INTERVAL_SECONDS = 2.0
"""Interval between two heartbeats of a process."""

ALIVE_SECONDS = 8
"""How long a process counts as alive after its last heartbeat."""


@dataclass(frozen=True, slots=True)
class Served:
    """The number of processes that serve a version or a later one (`by`), and of all that are alive (`of`)."""

    by: int
    of: int


class ProcessRepository:
    """The heartbeats in a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["processes"]

    async def beat(self, revisions: Mapping[str, int]) -> None:
        """Write a heartbeat of this process, with the pointer revision of each list that it serves."""
        pointers = [{"list": name, "revision": revision} for name, revision in revisions.items()]
        heartbeat = {"format": FORMAT, "at": "$$NOW", "heads": {"$literal": pointers}}
        await self._collection.update_one({"_id": leases.OWNER}, [{"$set": heartbeat}], upsert=True)

    async def leave(self) -> None:
        """Delete the heartbeat of this process."""
        await self._collection.delete_one({"_id": leases.OWNER})

    async def served(self, revisions: Sequence[tuple[str, int]]) -> list[Served]:
        """Return, for each (list, revision), how many living processes serve it or a later one; in one round trip."""
        alive = {"$expr": {"$gt": ["$at", {"$subtract": ["$$NOW", ALIVE_SECONDS * 1000]}]}}
        processes = [
            {pointer["list"]: pointer["revision"] for pointer in process["heads"]}
            async for process in self._collection.find(alive, {"heads": 1})
        ]
        return [
            Served(sum(process.get(name, 0) >= revision for process in processes), len(processes))
            for name, revision in revisions
        ]
