"""The integrity check: proves the layers, blocks, sizes and pointer of every list.

It only reads, with read concern `majority`, and can run on a database in use: what changes during the check is checked
again before it is reported.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from storage.batches.repository import BatchRepository
from storage.batches.staging import StagingRepository
from storage.catalog.events import EventRepository
from storage.catalog.orphans import OrphanRepository
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.snapshots import SnapshotRepository
from storage.errors import InvalidArgument, PriceListNotFound
from storage.integrity.findings import Finding, FindingCode
from storage.integrity.layers import LayerCheck
from storage.integrity.orphans import OrphanCheck
from storage.integrity.price_lists import PointerCheck
from storage.integrity.unreadable import try_read
from storage.integrity.versions import VersionCheck
from storage.layers.writer import LayerWriter
from storage.mongodb.connection import LATER_FORMAT, Database, Document
from storage.mongodb.locks import Locks


@dataclass(slots=True)
class CheckProgress:
    """The progress of a check. `total_versions` counts the versions of the lists begun so far, `rows` those read."""

    lists: int = 0
    total_lists: int = 0
    versions: int = 0
    total_versions: int = 0
    rows: int = 0


class IntegrityCheck:
    """A check of a database. `on_progress` is called whenever it has advanced."""

    def __init__(
        self,
        db: Database,
        layers_db: Database,
        price_lists: PriceListRepository,
        snapshots: SnapshotRepository,
        events: EventRepository,
        batches: BatchRepository,
        staging: StagingRepository,
        layer_writer: LayerWriter,
        orphans: OrphanRepository,
        locks: Locks,
        on_progress: Callable[[CheckProgress], None],
    ) -> None:
        self._db = db
        self._on_progress = on_progress
        self._price_lists = price_lists
        self._snapshots = snapshots
        layer_check = LayerCheck(layers_db, layer_writer, lambda rows: self._advance(rows=rows))
        self._pointer_check = PointerCheck(db, price_lists, snapshots, events, batches)
        self._version_check = VersionCheck(price_lists, snapshots, batches, layer_check)
        self._orphan_check = OrphanCheck(snapshots, batches, staging, layer_writer, orphans, locks)
        self._later_previews: dict[str, int] = {}
        self.progress = CheckProgress()

    async def run(self, price_list: str | None = None) -> AsyncGenerator[Finding, None]:
        """Yield the findings for a list, or for the whole database.

        Only the check of the whole database looks for orphans. Raises `PriceListNotFound`, and `InvalidArgument` for a
        database that is not Pricebook's.
        """
        if not await self._db.list_collection_names(filter={"name": {"$in": ["price_lists", "snapshots"]}}):
            raise InvalidArgument(
                f"The database {self._db.name!r} is not a Pricebook database: check PRICEBOOK_MONGODB_DATABASE."
            )
        names = sorted({*await self._price_lists.names(), *await self._snapshots.list_names()})
        if price_list is not None:
            if price_list not in names:
                raise PriceListNotFound(price_list)
            names = [price_list]
        self.progress.total_lists = len(names)
        self._later_previews = await self._count_later_previews()
        for name in names:
            async for finding in self._check_list(name):
                yield finding
            self._advance(lists=1)
        if price_list is None:
            async for finding in self._orphan_check.findings():
                yield finding

    async def _check_list(self, name: str) -> AsyncGenerator[Finding, None]:
        for finding in [*await self._pointer_check.findings(name), *await self._unknown_formats(name)]:
            yield finding
        seen, _ = await try_read(self._price_lists.find_with_deleted(name), name, None, "the price list")
        # Versions of a deleted list that are not removed yet cannot be read.
        versions = [] if seen and seen.deletion else await self._snapshots.version_numbers(name)
        self.progress.total_versions += len(versions)
        reported = set[tuple[FindingCode, str, str]]()  # report a layer once, not for every version that names it
        for version in versions:
            for finding in await self._version_check.findings(name, version):
                key = (finding.code, finding.layer or str(version), finding.message)
                if key not in reported:
                    reported.add(key)
                    yield finding
            self._advance(versions=1)

    async def _unknown_formats(self, name: str) -> list[Finding]:
        """Return findings for the batches, events and previews of a list that a later release wrote."""
        later = {"list": name, **LATER_FORMAT}
        counts = {
            "batches": await self._db["batches"].count_documents(later, hint="list_newest"),  # from the index alone
            "events": await self._db["events"].count_documents(later),
            "previews": self._later_previews.get(name, 0),
        }
        return [
            Finding(FindingCode.FORMAT_UNKNOWN, f"{count} of its {kind} have the format of a later release.", name)
            for kind, count in counts.items()
            if count
        ]

    async def _count_later_previews(self) -> dict[str, int]:
        """Return the number of previews that a later release wrote, by the list of their batch."""
        stages: list[Document] = [
            {"$match": dict(LATER_FORMAT)},
            {"$lookup": {"from": "batches", "localField": "batch", "foreignField": "_id", "as": "batches"}},
            {"$unwind": "$batches"},
            {"$group": {"_id": "$batches.list", "count": {"$sum": 1}}},
        ]
        return {each["_id"]: each["count"] async for each in await self._db["previews"].aggregate(stages)}

    def _advance(self, *, lists: int = 0, versions: int = 0, rows: int = 0) -> None:
        self.progress.lists += lists
        self.progress.versions += versions
        self.progress.rows += rows
        self._on_progress(self.progress)
