"""Versioned snapshots of price lists on MongoDB: the only package that uses the database driver."""

from storage.batches.admission import MAX_OPEN_BATCHES, MAX_REMOVALS
from storage.batches.batch import Batch, BatchMode, BatchOrder, PublishPolicy
from storage.batches.in_release import BatchInRelease
from storage.batches.item_errors import MAX_ITEM_ERRORS, ReportRange
from storage.batches.metrics import (
    BATCH_BOUNDS,
    LATENESS_BOUNDS,
    RELEASE_BOUNDS,
    RELEASE_OUTCOMES,
    SCHEDULE_REASONS,
    StorageMetrics,
)
from storage.batches.parts import MAX_PARTS, Part
from storage.batches.previews import MAX_PREVIEW_DAYS, MAX_PREVIEWS, Preview, Previews
from storage.batches.publish_time import MAX_DAYS_AHEAD
from storage.batches.scheduled import Due
from storage.batches.states import UNFINISHED, BatchState
from storage.batches.unpinning import ExpectedLatest
from storage.catalog.api_keys import ApiKey, ApiKeyNotFound, ApiKeyRepository, is_api_key
from storage.catalog.events import Event, EventKind
from storage.catalog.exposures import MAX_EXPOSURES, Exposure, find_exposures
from storage.catalog.gates import MAX_ALLOWED_CURRENCIES, DiffSummary, Gates, Severity
from storage.catalog.keep import Keep
from storage.catalog.list_filter import ALL_LISTS, NO_LISTS, ListFilter
from storage.catalog.moves import Moves
from storage.catalog.price_lists import MAX_DESCRIPTION_LENGTH, Pin, PriceList, check_name
from storage.catalog.processes import HEARTBEAT_INTERVAL_SECONDS, Served
from storage.catalog.releases import (
    MAX_LISTS,
    Release,
    ReleaseFull,
    ReleaseItem,
    ReleaseNotFound,
    ReleaseNotOpen,
    ReleaseState,
)
from storage.catalog.retention import DEFAULT_RETENTION, MAX_RETENTION_DAYS, MAX_RETENTION_VERSIONS, Retention
from storage.catalog.snapshots import Layer, Snapshot, SnapshotState
from storage.catalog.transactions import MAX_REASON_LENGTH
from storage.catalog.version_keeper import MAX_KEEP_YEARS
from storage.errors import (
    BatchNotFound,
    Broken,
    Corrupt,
    Interrupted,
    InvalidArgument,
    LayerGone,
    PricebookError,
    PriceListNotFound,
    Refused,
    ScanLimit,
    SnapshotExpired,
    SnapshotNotFound,
    Unavailable,
    VersionNotReached,
)
from storage.fair_yield import yield_to_loop
from storage.files.errors import FileRefused
from storage.files.json_array import leading_blocks
from storage.files.price_file import MAX_FILE_BYTES, FileRows
from storage.files.row_source import JsonRows, RowSource
from storage.layers.amount_changes import CHANGE_BUCKETS, ChangeBucket
from storage.layers.block_cache import DEFAULT_CACHE_BYTES, BlockCache
from storage.layers.cached_layer import CachedLayer
from storage.layers.history import PriceVersion
from storage.layers.memory_reader import MISSING, Found
from storage.layers.price_diff import ChangeKind, DiffStatistics, PriceDiff
from storage.layers.timeline import (
    MAX_LOOK_UPS,
    MAX_MOVES,
    MAX_PERIODS,
    LookUpBudget,
    LowestPrice,
    Manifests,
    PricePeriod,
    Timelines,
)
from storage.maintenance.deletion import DELETE_IDLE_HOURS
from storage.maintenance.expiration import GRACE_SECONDS, MAX_KEPT, RESTORE_SECONDS
from storage.maintenance.garbage_collection import RELEASE_IDLE_DAYS
from storage.mongodb.connection import ITEM_ERROR_DAYS, explain
from storage.mongodb.database_clock import DatabaseClock
from storage.mongodb.deadlines import is_cancelled
from storage.mongodb.documents import raise_if_unreadable
from storage.mongodb.driver_metrics import DRIVER_BOUNDS
from storage.mongodb.histogram import Histogram
from storage.mongodb.server_time import ServerTimes
from storage.prices.item_error import ItemError
from storage.prices.price import MAX_SKU_BYTES, Price, Tier
from storage.prices.quotes import Quote, QuoteLine, quote
from storage.prices.selection import (
    MAX_FILTER_ATTRIBUTES,
    AttributeEquals,
    PriceFilter,
    PriceOrder,
    Selection,
    SortPosition,
    check_sku_prefix,
)
from storage.releases.errors import ReleaseForbidden, ReleaseRefused
from storage.store import Store

__all__ = [
    "ALL_LISTS",
    "BATCH_BOUNDS",
    "CHANGE_BUCKETS",
    "DEFAULT_CACHE_BYTES",
    "DEFAULT_RETENTION",
    "DELETE_IDLE_HOURS",
    "DRIVER_BOUNDS",
    "GRACE_SECONDS",
    "HEARTBEAT_INTERVAL_SECONDS",
    "ITEM_ERROR_DAYS",
    "LATENESS_BOUNDS",
    "MAX_ALLOWED_CURRENCIES",
    "MAX_DAYS_AHEAD",
    "MAX_DESCRIPTION_LENGTH",
    "MAX_EXPOSURES",
    "MAX_FILE_BYTES",
    "MAX_FILTER_ATTRIBUTES",
    "MAX_ITEM_ERRORS",
    "MAX_KEEP_YEARS",
    "MAX_KEPT",
    "MAX_LISTS",
    "MAX_LOOK_UPS",
    "MAX_MOVES",
    "MAX_OPEN_BATCHES",
    "MAX_PARTS",
    "MAX_PERIODS",
    "MAX_PREVIEWS",
    "MAX_PREVIEW_DAYS",
    "MAX_REASON_LENGTH",
    "MAX_REMOVALS",
    "MAX_RETENTION_DAYS",
    "MAX_RETENTION_VERSIONS",
    "MAX_SKU_BYTES",
    "MISSING",
    "NO_LISTS",
    "RELEASE_BOUNDS",
    "RELEASE_IDLE_DAYS",
    "RELEASE_OUTCOMES",
    "RESTORE_SECONDS",
    "SCHEDULE_REASONS",
    "UNFINISHED",
    "ApiKey",
    "ApiKeyNotFound",
    "ApiKeyRepository",
    "AttributeEquals",
    "Batch",
    "BatchInRelease",
    "BatchMode",
    "BatchNotFound",
    "BatchOrder",
    "BatchState",
    "BlockCache",
    "Broken",
    "CachedLayer",
    "ChangeBucket",
    "ChangeKind",
    "Corrupt",
    "DatabaseClock",
    "DiffStatistics",
    "DiffSummary",
    "Due",
    "Event",
    "EventKind",
    "ExpectedLatest",
    "Exposure",
    "FileRefused",
    "FileRows",
    "Found",
    "Gates",
    "Histogram",
    "Interrupted",
    "InvalidArgument",
    "ItemError",
    "JsonRows",
    "Keep",
    "Layer",
    "LayerGone",
    "ListFilter",
    "LookUpBudget",
    "LowestPrice",
    "Manifests",
    "Moves",
    "Part",
    "Pin",
    "Preview",
    "Previews",
    "Price",
    "PriceDiff",
    "PriceFilter",
    "PriceList",
    "PriceListNotFound",
    "PriceOrder",
    "PricePeriod",
    "PriceVersion",
    "PricebookError",
    "PublishPolicy",
    "Quote",
    "QuoteLine",
    "Refused",
    "Release",
    "ReleaseForbidden",
    "ReleaseFull",
    "ReleaseItem",
    "ReleaseNotFound",
    "ReleaseNotOpen",
    "ReleaseRefused",
    "ReleaseState",
    "ReportRange",
    "Retention",
    "RowSource",
    "ScanLimit",
    "Selection",
    "Served",
    "ServerTimes",
    "Severity",
    "Snapshot",
    "SnapshotExpired",
    "SnapshotNotFound",
    "SnapshotState",
    "SortPosition",
    "StorageMetrics",
    "Store",
    "Tier",
    "Timelines",
    "Unavailable",
    "VersionNotReached",
    "check_name",
    "check_sku_prefix",
    "explain",
    "find_exposures",
    "is_api_key",
    "is_cancelled",
    "leading_blocks",
    "quote",
    "raise_if_unreadable",
    "yield_to_loop",
]
