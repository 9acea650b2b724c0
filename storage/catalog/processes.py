"""The living processes: each tells every other which pointers it answers by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.mongodb import leases
from storage.mongodb.connection import FORMAT, Database

# A process tells its pointers so often, and counts as alive for so long after it last did, in seconds.
HEARTBEAT_INTERVAL_SECONDS = 2.0
ALIVE_SECONDS = 8


@dataclass(frozen=True, slots=True)
class Served:
    """How many processes answer with a version or a later one, of all that are alive."""

    by: int
    of: int


class ProcessRepository:
    """The heartbeats of the processes on a database."""

    def __init__(self, db: Database) -> None:
        self._collection = db["processes"]

    async def beat(self, revisions: Mapping[str, int]) -> None:
        """Tell that this process is alive, and the revision of each list's pointer that it answers by."""
        pointers = [{"list": name, "revision": revision} for name, revision in revisions.items()]
        told = {"format": FORMAT, "at": "$$NOW", "heads": {"$literal": pointers}}
        await self._collection.update_one({"_id": leases.OWNER}, [{"$set": told}], upsert=True)

    async def leave(self) -> None:
        """Tell that this process is gone."""
        await self._collection.delete_one({"_id": leases.OWNER})

    async def served(self, wanted: Sequence[tuple[str, int]]) -> list[Served]:
        """Return, for each (list, revision), how many living processes have come as far; in one round trip."""
        alive = {"$expr": {"$gt": ["$at", {"$subtract": ["$$NOW", ALIVE_SECONDS * 1000]}]}}
        pointers = [
            {head["list"]: head["revision"] for head in process["heads"]}
            async for process in self._collection.find(alive, {"heads": 1})
        ]
        return [
            Served(sum(head.get(name, 0) >= revision for head in pointers), len(pointers)) for name, revision in wanted
        ]
