"""The heartbeats of the processes: each announces the pointer revisions that it serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pymongo.write_concern import WriteConcern

from storage.mongodb import leases
from storage.mongodb.connection import FORMAT, Database

HEARTBEAT_INTERVAL_SECONDS = 10.0
"""Interval between two heartbeats of a process while no pointer moves. Each costs the members some milliseconds."""

ALIVE_SECONDS = 30
"""How long a process counts as alive after its last heartbeat."""


@dataclass(frozen=True, slots=True)
class Served:
    """The number of processes that serve a version or a later one (`by`), and of all that are alive (`of`)."""

    by: int
    of: int


class ProcessRepository:
    """The heartbeats in a database: the time of the last one of each process, and the revisions that it serves."""

    def __init__(self, db: Database) -> None:
        self._collection = db["processes"]
        self._announced: Mapping[str, int] | None = None

    async def beat(self, revisions: Mapping[str, int]) -> None:
        """Write a heartbeat of this process, with the pointer revision of each list that it serves.

        Only revisions that changed since the last heartbeat are written.
        """
        if self._announced is None or not await self._update(self._announced, revisions):
            heads = {_field(name): revision for name, revision in revisions.items()}
            changes = {"$set": {"format": FORMAT, "heads": heads}, **_NOW}
            await self._collection.update_one({"_id": leases.OWNER}, changes, upsert=True)
        self._announced = dict(revisions)

    async def _update(self, announced: Mapping[str, int], revisions: Mapping[str, int]) -> bool:
        """Write what changed. Returns False without a record of this process, which was then away for long."""
        moved = {f"heads.{_field(name)}": at for name, at in revisions.items() if announced.get(name) != at}
        gone = {f"heads.{_field(name)}": "" for name in announced.keys() - revisions.keys()}  # deleted lists
        # A revision that a failover lost would not be written again. The time is, so that no majority needs it.
        collection = self._collection if moved else self._collection.with_options(write_concern=WriteConcern(w=1))
        changes = {**({"$set": moved} if moved else {}), **({"$unset": gone} if gone else {}), **_NOW}
        return bool((await collection.update_one({"_id": leases.OWNER}, changes)).matched_count)

    async def leave(self) -> None:
        """Delete the heartbeat of this process."""
        self._announced = None
        await self._collection.delete_one({"_id": leases.OWNER})

    async def served(self, revisions: Sequence[tuple[str, int]], own: Mapping[str, int]) -> list[Served]:
        """Return, for each (list, revision), how many living processes serve it or a later one; in one round trip.

        `own` are the revisions that this process serves, which may be newer than its heartbeat; a process without
        heartbeats is no server, and does not count.
        """
        alive = {"$expr": {"$gt": ["$at", {"$subtract": ["$$NOW", ALIVE_SECONDS * 1000]}]}}
        fields = {f"heads.{_field(name)}": 1 for name, _ in revisions}
        processes = {process["_id"]: process.get("heads", {}) async for process in self._collection.find(alive, fields)}
        if self._announced is not None:
            processes[leases.OWNER] = {_field(name): own[name] for name, _ in revisions if name in own}
        return [
            Served(sum(heads.get(_field(name), 0) >= revision for heads in processes.values()), len(processes))
            for name, revision in revisions
        ]


_NOW = {"$currentDate": {"at": True}}


def _field(price_list: str) -> str:
    """Return the name of a list as that of a field: without dots, which would divide it."""
    return price_list.replace(".", ":")
