"""Opens the storage, once for a process. Every service receives its repositories here."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from storage.batches.admission import MAX_OPEN_BATCHES, BatchAdmission
from storage.batches.comparison import BatchComparer
from storage.batches.due_publisher import DuePublisher
from storage.batches.in_release import ReleaseMembership
from storage.batches.item_errors import ItemErrorRepository
from storage.batches.lifecycle import BatchLifecycle
from storage.batches.metrics import StorageMetrics
from storage.batches.multipart import MultipartBatches
from storage.batches.parts import PartRepository
from storage.batches.previews import Previews
from storage.batches.rebasing import Rebaser
from storage.batches.removal import BatchRemoval
from storage.batches.repository import BatchRepository
from storage.batches.scheduling import BatchScheduling
from storage.batches.sealing import BatchSealer
from storage.batches.staging import StagingRepository
from storage.batches.submit import BatchSubmitter
from storage.batches.throttle import MergeThrottle
from storage.batches.transitions import BatchTransitions
from storage.batches.turns import Turns
from storage.batches.unpinning import Unpinning
from storage.catalog.api_keys import ApiKeyRepository
from storage.catalog.events import EventRepository
from storage.catalog.expiration import ExpirationRepository
from storage.catalog.moves import MoveRepository
from storage.catalog.orphans import OrphanRepository
from storage.catalog.price_list_editor import PriceListEditor
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.processes import ProcessRepository
from storage.catalog.releases import ReleaseRepository
from storage.catalog.rollback import PointerMoves
from storage.catalog.snapshots import SnapshotRepository
from storage.catalog.version_keeper import VersionKeeper
from storage.catalog.watcher import Watcher
from storage.integrity.check import CheckProgress, IntegrityCheck
from storage.integrity.inspection import LayerInspector
from storage.layers.block_cache import DEFAULT_CACHE_BYTES, BlockCache
from storage.layers.diff import VersionDiffer
from storage.layers.fetcher import BlockFetcher
from storage.layers.history import PriceHistory
from storage.layers.memory_reader import MemoryReader
from storage.layers.proof import LayerProver
from storage.layers.reader import LayerReader
from storage.layers.row_allowance import MAX_SCAN
from storage.layers.scan import LayerScanner
from storage.layers.timeline import PriceTimelines
from storage.layers.version_prices import MAX_CONCURRENT_LAYER_READS, LayerPriceReader
from storage.layers.writer import LayerWriter
from storage.maintenance.compaction import Compactor
from storage.maintenance.compaction_schedule import CompactionSchedule
from storage.maintenance.deletion import DELETE_IDLE_HOURS, PriceListDeleter
from storage.maintenance.expiration import GRACE_SECONDS, RESTORE_SECONDS, SnapshotExpirer
from storage.maintenance.garbage_collection import RELEASE_IDLE_DAYS, GarbageCollector
from storage.maintenance.leader import Leader, Schedules
from storage.maintenance.publication_schedule import PublicationSchedule
from storage.maintenance.retention_schedule import RetentionSchedule
from storage.maintenance.worker import Worker
from storage.mongodb.connection import Client, connect, database, layers_database, prepare
from storage.mongodb.locks import Locks
from storage.mongodb.secondaries import Clock, Secondaries
from storage.mongodb.server_time import ServerTimes, server_time, server_times
from storage.releases.due import DuePublication, DueReleasePublisher
from storage.releases.editor import ReleaseEditor
from storage.releases.lists import ReleaseLists
from storage.releases.publication import ReleasePublication
from storage.releases.publishing import ReleasePublisher
from storage.releases.rollback import ReleaseRollback
from storage.releases.scheduling import ReleaseScheduling
from storage.releases.unpublished import UnpublishedReleases


class Store:
    """The repositories of a database, and the services on them.

    `layer_reader` reads layers on the primary; `query_reader`, which answers queries, reads on secondaries if
    `secondaries` is set. Both share the block cache, of at most `cache_bytes`; `memory_reader` reads what it has.
    `grace` and `restore` are in seconds.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        *,
        secondaries: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        max_scan: int = MAX_SCAN,
        max_open_batches: int = MAX_OPEN_BATCHES,
        grace: float = GRACE_SECONDS,
        restore: float = RESTORE_SECONDS,
        delete_idle_hours: float = DELETE_IDLE_HOURS,
        release_idle_days: int = RELEASE_IDLE_DAYS,
        metrics: StorageMetrics | None = None,
    ) -> None:
        clock = Clock() if secondaries else None
        self.grace = grace
        self.metrics = metrics or StorageMetrics()
        self.client = client
        self.db, self.layers_db = database(client, name), layers_database(client, name)
        self.api_keys = ApiKeyRepository(self.db)
        self.price_lists, self.orphans = PriceListRepository(self.db), OrphanRepository(self.db)
        self.snapshots = SnapshotRepository(self.db, self.orphans, clock)
        self.expirations = ExpirationRepository(self.db)
        self.batches = BatchRepository(self.db)
        self.parts, self.item_errors = PartRepository(self.db), ItemErrorRepository(self.db)
        self.staging = StagingRepository(self.db)
        self._open_layers(clock, cache_bytes, max_scan)
        reads = asyncio.Semaphore(MAX_CONCURRENT_LAYER_READS)
        self.price_history = PriceHistory(self.snapshots, LayerPriceReader(self.layer_reader, reads))
        self.events, self.moves = EventRepository(self.db), MoveRepository(self.db)
        self.price_timelines = PriceTimelines(self.moves, self.snapshots, LayerPriceReader(self.query_reader, reads))
        self.locks, self.releases = Locks(self.db), ReleaseRepository(self.db)
        self.processes, self.watcher = ProcessRepository(self.db), Watcher(self.db)
        self.pointer_moves = PointerMoves(client, self.price_lists, self.snapshots, self.events)
        self.version_keeper = VersionKeeper(client, self.price_lists, self.snapshots, self.expirations, self.events)
        self.price_list_editor = PriceListEditor(client, self.price_lists, self.events)
        self.previews = Previews(client, self.db, self.price_lists, self.batches, self.events)
        turns = Turns(self.locks)
        transitions = BatchTransitions(self.price_lists, self.snapshots, self.events, self.batches)
        unpinning = Unpinning(
            self.price_lists, self.snapshots, self.events, self.batches, self.pointer_moves, transitions
        )
        membership = ReleaseMembership(
            client, self.releases, self.price_lists, self.batches, self.events, transitions, turns
        )
        removal = BatchRemoval(self.batches, self.parts, self.item_errors, self.staging, self.orphans)
        self.sealer = BatchSealer(self.parts, self.staging, self.layer_writer, self.prover)
        self.comparer = BatchComparer(self.snapshots, self.layer_reader, self.differ)
        rebaser = Rebaser(self.price_lists, self.snapshots, self.comparer, turns)
        throttle = MergeThrottle(self.price_lists, self.snapshots, self.metrics)
        self.lifecycle = BatchLifecycle(
            client,
            self.price_lists,
            self.snapshots,
            self.batches,
            self.parts,
            self.item_errors,
            self.staging,
            self.sealer,
            self.layer_writer,
            self.comparer,
            rebaser,
            transitions,
            throttle,
            unpinning,
            membership,
            removal,
            self.orphans,
            self.metrics,
        )
        self.scheduling = BatchScheduling(client, self.price_lists, self.batches, self.events, transitions, membership)
        self.due_publisher = DuePublisher(
            client,
            self.price_lists,
            self.snapshots,
            self.batches,
            self.events,
            self.comparer,
            transitions,
            throttle,
            rebaser,
            self.metrics,
        )
        admission = BatchAdmission(client, self.price_lists, self.batches, self.releases, max_open_batches)
        self.submitter = BatchSubmitter(self.batches, admission, self.staging, self.sealer, self.lifecycle, removal)
        self.multipart = MultipartBatches(
            self.batches, admission, self.parts, self.item_errors, self.staging, self.lifecycle
        )
        self._open_releases(turns)
        self.compactor = Compactor(
            client, self.price_lists, self.snapshots, self.layer_writer, self.fetcher, self.prover, self.locks
        )
        unpublished = UnpublishedReleases(self.db)
        self.deleter = PriceListDeleter(
            client,
            self.price_lists,
            self.snapshots,
            self.batches,
            self.events,
            removal,
            unpublished,
            self.locks,
            delete_idle_hours,
        )
        self.garbage_collector = GarbageCollector(
            self.batches,
            self.parts,
            self.staging,
            self.layer_writer,
            self.snapshots,
            self.orphans,
            self.locks,
            self.lifecycle,
            self.deleter,
            self.release_editor,
            unpublished,
            self.metrics,
            release_idle_days,
        )
        self.expirer = SnapshotExpirer(
            client,
            self.price_lists,
            self.snapshots,
            self.expirations,
            self.events,
            self.layer_writer,
            self.locks,
            self.metrics,
            grace,
            restore,
        )
        self.worker = Worker(
            self.batches,
            self.lifecycle,
            self.deleter,
            Leader(self.watcher, self.locks, self.price_lists, self.garbage_collector, self._new_schedules),
            PublicationSchedule(
                client, self.watcher, self.batches, self.due_publisher, self.due_releases, self.locks, self.metrics
            ),
        )

    def _open_layers(self, clock: Clock | None, cache_bytes: int, max_scan: int) -> None:
        """Open what reads and writes layers. With a `clock`, queries are read on secondaries."""
        self.layer_writer = LayerWriter(self.layers_db)
        self.block_cache = BlockCache(cache_bytes)
        self.memory_reader = MemoryReader(self.block_cache)
        self.fetcher = query_fetcher = BlockFetcher(self.layers_db)
        self.layer_reader = self.query_reader = LayerReader(self.fetcher, self.block_cache)
        if clock:
            query_fetcher = BlockFetcher(self.layers_db, Secondaries(self.layers_db, clock))
            self.query_reader = LayerReader(query_fetcher, self.block_cache)
        self._fetchers = {self.fetcher, query_fetcher}
        self.prover = LayerProver(self.layers_db, self.fetcher, self.block_cache)
        self.scanner = LayerScanner(self.query_reader, max_scan)
        self.differ = VersionDiffer(self.layer_reader, max_scan)

    def _open_releases(self, turns: Turns) -> None:
        """Open what creates, publishes and discards releases."""
        lists = ReleaseLists(self.price_lists, self.events)
        publication = ReleasePublication(self.releases, self.snapshots, self.batches, self.events, lists)
        self.release_editor = ReleaseEditor(
            self.client, self.releases, self.snapshots, self.batches, lists, self.metrics
        )
        self.release_publisher = ReleasePublisher(
            self.client, self.releases, lists, publication, self.comparer, turns, self.metrics
        )
        self.release_rollback = ReleaseRollback(self.client, self.snapshots, self.releases, lists, self.metrics)
        self.release_scheduling = ReleaseScheduling(
            self.client, self.price_lists, self.batches, self.events, self.releases, lists
        )
        due_publication = DuePublication(self.client, self.releases, self.snapshots, self.batches, self.events, lists)
        self.due_releases = DueReleasePublisher(
            self.client,
            self.batches,
            self.releases,
            ReleasePublisher(self.client, self.releases, lists, due_publication, self.comparer, turns, self.metrics),
            self.release_scheduling,
            self.due_publisher,
            self.metrics,
        )

    def _new_schedules(self) -> Schedules:
        return Schedules(
            CompactionSchedule(self.snapshots, self.compactor), RetentionSchedule(self.expirer, self.lifecycle)
        )

    @classmethod
    async def open(
        cls,
        uri: str,
        name: str,
        *,
        secondaries: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        max_scan: int = MAX_SCAN,
        max_open_batches: int = MAX_OPEN_BATCHES,
        grace: float = GRACE_SECONDS,
        restore: float = RESTORE_SECONDS,
        delete_idle_hours: float = DELETE_IDLE_HOURS,
        release_idle_days: int = RELEASE_IDLE_DAYS,
        metrics: StorageMetrics | None = None,
    ) -> "Store":
        """Connect, and create missing collections and indexes. With `metrics`, the driver's commands are counted too.

        Raises `InvalidArgument`, `Unavailable`.
        """
        store = cls(
            await connect(uri, [metrics.driver] if metrics else ()),
            name,
            secondaries=secondaries,
            cache_bytes=cache_bytes,
            max_scan=max_scan,
            max_open_batches=max_open_batches,
            grace=grace,
            restore=restore,
            delete_idle_hours=delete_idle_hours,
            release_idle_days=release_idle_days,
            metrics=metrics,
        )
        try:
            await prepare(store.db)
        except BaseException:
            await store.close()
            raise
        return store

    @classmethod
    @asynccontextmanager
    async def open_existing(cls, uri: str, name: str) -> AsyncIterator["Store"]:
        """Connect without creating anything, for a context. Raises `InvalidArgument`, `Unavailable`."""
        store = cls(await connect(uri), name)
        try:
            yield store
        finally:
            await store.close()

    @property
    def corrupt_blocks(self) -> int:
        """Number of damaged or missing blocks, and directories, that reads of this process refused."""
        return sum(fetcher.corrupt for fetcher in self._fetchers)

    def layer_inspector(self) -> LayerInspector:
        """Return an inspector of single layers."""
        return LayerInspector(self.snapshots, self.layer_writer, self.fetcher)

    def integrity_check(self, on_progress: Callable[[CheckProgress], None] = lambda _: None) -> IntegrityCheck:
        """Return a check of the database that reports its progress."""
        return IntegrityCheck(
            self.db,
            self.layers_db,
            self.price_lists,
            self.snapshots,
            self.events,
            self.batches,
            self.staging,
            self.layer_writer,
            self.orphans,
            self.locks,
            on_progress,
        )

    async def now(self) -> datetime.datetime:
        """Return the time of the database."""
        return await server_time(self.client)

    async def times(self) -> ServerTimes:
        """Return the time of the database, and up to when a majority of its members has all writes."""
        return await server_times(self.client)

    async def ping(self) -> None:
        """Return when the primary answers. Raises the driver's error if it does not."""
        await self.client.admin.command("ping")

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()
