"""The door to storage: opens all of it once for a process. No logic."""

from storage.batches.finish import Finisher
from storage.batches.metrics import Meter
from storage.batches.multipart import Chunks
from storage.batches.parts import Parts
from storage.batches.publish import Publisher
from storage.batches.repository import Batches
from storage.batches.submit import Intake
from storage.catalog.api_keys import ApiKeys
from storage.catalog.events import Events
from storage.catalog.price_lists import Pointers
from storage.catalog.processes import Processes
from storage.catalog.rollback import Operations
from storage.catalog.snapshots import Snapshots
from storage.layers.diff import Differ
from storage.layers.history import Histories
from storage.layers.reader import Stack
from storage.layers.scan import MAX_SCAN, Scanner
from storage.layers.secondary_reader import SecondaryStack
from storage.layers.writer import Layers
from storage.maintenance.compaction import Compactor
from storage.maintenance.expiration import GRACE_SECONDS, RESTORE_SECONDS, Retirer
from storage.maintenance.garbage_collection import Leavings
from storage.maintenance.orphans import Orphans
from storage.maintenance.worker import Worker
from storage.mongodb.connection import Client, connect, database, prepare
from storage.mongodb.locks import Locks
from storage.mongodb.secondaries import Clock


class Store:
    """Everything that is stored, by collection, and the acts on it.

    `stack` reads layers on the primary; `reading`, for answering queries, on `secondaries` if told so. The `meter`
    counts what is done.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        *,
        secondaries: bool = False,
        max_scan: int = MAX_SCAN,
        grace: float = GRACE_SECONDS,
        restore: float = RESTORE_SECONDS,
        meter: Meter | None = None,
    ) -> None:
        clock = Clock() if secondaries else None
        self.grace = grace
        self.meter = meter or Meter()
        self.client = client
        self.db = database(client, name)
        self.api_keys = ApiKeys(self.db)
        self.pointers = Pointers(self.db)
        self.snapshots = Snapshots(self.db, clock)
        self.batches = Batches(self.db)
        self.parts = Parts(self.db)
        self.layers = Layers(self.db)
        self.stack = Stack(self.db)
        self.reading = SecondaryStack(self.db, clock) if clock else self.stack
        self.scanner = Scanner(self.db, max_scan)
        self.differ = Differ(self.stack)
        self.histories = Histories(self.snapshots, self.stack)
        self.events = Events(self.db)
        self.locks = Locks(self.db)
        self.processes = Processes(self.db)
        self.operations = Operations(client, self.db)
        self.publisher = Publisher(client, self.db, self.operations, self.meter)
        self.finisher = Finisher(
            self.pointers,
            self.snapshots,
            self.batches,
            self.parts,
            self.layers,
            self.stack,
            self.publisher,
            self.operations,
        )
        self.intake = Intake(self.pointers, self.batches, self.layers, self.finisher)
        self.chunks = Chunks(self.pointers, self.batches, self.parts, self.layers, self.finisher)
        self.compactor = Compactor(self.pointers, self.snapshots, self.layers, self.stack, self.locks)
        orphans = Orphans(self.db)
        self.leavings = Leavings(
            self.batches, self.parts, self.layers, self.snapshots, orphans, self.finisher, self.meter
        )
        self.retirer = Retirer(client, self.db, self.locks, self.meter, grace, restore)
        self.worker = Worker(self.batches, self.finisher, self.compactor, self.leavings, self.retirer)

    @classmethod
    async def open(
        cls,
        uri: str,
        name: str,
        *,
        secondaries: bool = False,
        max_scan: int = MAX_SCAN,
        grace: float = GRACE_SECONDS,
        restore: float = RESTORE_SECONDS,
        meter: Meter | None = None,
    ) -> "Store":
        """Connect, and create what is missing. With a `meter` the driver is counted, too.

        Raises `InvalidArgument`, `Unavailable`.
        """
        store = cls(
            await connect(uri, [meter.driver] if meter else ()),
            name,
            secondaries=secondaries,
            max_scan=max_scan,
            grace=grace,
            restore=restore,
            meter=meter,
        )
        try:
            await prepare(store.db)
        except BaseException:
            await store.close()
            raise
        return store

    async def ping(self) -> None:
        """Return when the primary answers; raises the driver's error otherwise."""
        await self.client.admin.command("ping")

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()
