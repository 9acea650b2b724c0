"""The check: walks every manifest of every list, and proves layers, counts, checksums and pointers.

It reads only, what a majority has, on a database that is in use: what is published, retired or compacted meanwhile is
looked at again before it is called wrong.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from storage.batches.repository import BatchRepository
from storage.catalog.events import EventRepository
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.snapshots import SnapshotRepository
from storage.errors import InvalidArgument, PriceListNotFound
from storage.integrity.findings import Finding, FindingCode
from storage.integrity.layer_proofs import Proofs
from storage.integrity.orphans import OrphanCheck
from storage.integrity.price_lists import PointerCheck
from storage.integrity.versions import VersionCheck
from storage.layers.reader import LayerReader
from storage.layers.writer import Layers
from storage.maintenance.orphans import Orphans
from storage.mongodb.connection import NOT_UNDERSTOOD, Database, connect, database


@dataclass(slots=True)
class Checked:
    """How far a check has come. `of_versions` are those of the lists that were begun; `rows` were read in layers."""

    lists: int = 0
    of_lists: int = 0
    versions: int = 0
    of_versions: int = 0
    rows: int = 0


class Check:
    """One check of a database. `tell` is called whenever it has come further."""

    def __init__(self, db: Database, tell: Callable[[Checked], None] = lambda _: None) -> None:
        self._db = db
        self._tell = tell
        self._price_lists = PriceListRepository(db)
        self._snapshots = SnapshotRepository(db)
        self._layers = Layers(db)
        batches = BatchRepository(db)
        proofs = Proofs(self._layers, LayerReader(db), self._read)
        self._of_pointer = PointerCheck(self._price_lists, self._snapshots, EventRepository(db))
        self._of_version = VersionCheck(self._price_lists, self._snapshots, batches, proofs)
        self._of_orphan = OrphanCheck(self._snapshots, batches, self._layers, Orphans(db))
        self.checked = Checked()

    @classmethod
    @asynccontextmanager
    async def opened(cls, uri: str, name: str, tell: Callable[[Checked], None]) -> AsyncIterator["Check"]:
        """Connect to a database, and create nothing in it. Raises `InvalidArgument`, `Unavailable`."""
        client = await connect(uri)
        try:
            yield cls(database(client, name), tell)
        finally:
            await client.close()

    async def run(self, price_list: str | None = None) -> AsyncGenerator[Finding, None]:
        """Return what is wrong with a list, or with the whole database, as it is found.

        Orphans are looked for in the whole database only. Raises `PriceListNotFound`, and `InvalidArgument` for a
        database that is not Pricebook's.
        """
        if not await self._db.list_collection_names(filter={"name": {"$in": ["price_lists", "snapshots"]}}):
            raise InvalidArgument(
                f"The database {self._db.name!r} is none of Pricebook's: set PRICEBOOK_MONGODB_DATABASE to the one."
            )
        names = sorted({*await self._price_lists.names(), *await self._snapshots.lists()})
        if price_list is not None:
            if price_list not in names:
                raise PriceListNotFound(price_list)
            names = [price_list]
        self.checked.of_lists = len(names)
        for name in names:
            async for finding in self._list(name):
                yield finding
            self._further(lists=1)
        if price_list is None:
            for layer in sorted(await self._layers.all()):
                for finding in await self._of_orphan.findings(layer):
                    yield finding

    async def _list(self, name: str) -> AsyncGenerator[Finding, None]:
        for finding in [*await self._of_pointer.findings(name), *await self._formats(name)]:
            yield finding
        versions = await self._snapshots.version_numbers(name)
        self.checked.of_versions += len(versions)
        told = set[tuple[FindingCode, str, str]]()  # a layer's finding is told once, not for every version that has it
        for version in versions:
            for finding in await self._of_version.findings(name, version):
                key = (finding.code, finding.layer or str(version), finding.message)
                if key not in told:
                    told.add(key)
                    yield finding
            self._further(versions=1)

    async def _formats(self, name: str) -> list[Finding]:
        """Return what a later release wrote of the list's batches and events."""
        counts = {kind: await self._db[kind].count_documents({"list": name, **NOT_UNDERSTOOD}) for kind in _KINDS}
        return [
            Finding(FindingCode.FORMAT_UNKNOWN, f"{count} of its {kind} have a format of a later release.", name)
            for kind, count in counts.items()
            if count
        ]

    def _read(self, rows: int) -> None:
        self._further(rows=rows)

    def _further(self, *, lists: int = 0, versions: int = 0, rows: int = 0) -> None:
        self.checked.lists += lists
        self.checked.versions += versions
        self.checked.rows += rows
        self._tell(self.checked)


_KINDS = ("batches", "events")
