"""Versioned snapshots of price lists on MongoDB: the only package that uses the database driver."""

from storage.batches.metrics import BATCH_BOUNDS, StorageMetrics
from storage.batches.parts import Part
from storage.batches.repository import Batch, BatchMode, BatchOrder, PublishPolicy
from storage.batches.states import BatchState
from storage.catalog.api_keys import ApiKey, ApiKeyNotFound, ApiKeyRepository, is_api_key
from storage.catalog.events import Event, EventKind
from storage.catalog.gates import DiffSummary, Gates, Severity
from storage.catalog.list_filter import ALL_LISTS, NO_LISTS, ListFilter
from storage.catalog.price_lists import Pin, PriceList
from storage.catalog.processes import HEARTBEAT_INTERVAL_SECONDS, Served
from storage.catalog.retention import DEFAULT_RETENTION, Retention
from storage.catalog.snapshots import Layer, Snapshot, SnapshotState
from storage.catalog.watcher import Watcher
from storage.errors import (
    BatchNotFound,
    Interrupted,
    InvalidArgument,
    PricebookError,
    PriceListNotFound,
    Refused,
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
from storage.layers.diff import ChangeKind, PriceDiff
from storage.layers.history import PriceVersion
from storage.maintenance.expiration import GRACE_SECONDS, RESTORE_SECONDS
from storage.mongodb.connection import explain
from storage.mongodb.driver_metrics import DRIVER_BOUNDS
from storage.mongodb.histogram import Histogram
from storage.prices.price import Price, Tier
from storage.prices.quotes import Quote, QuoteLine, quote
from storage.prices.selection import AttributeEquals, PriceFilter, PriceOrder, Selection, SortPosition
from storage.store import Store

__all__ = [
    "ALL_LISTS",
    "BATCH_BOUNDS",
    "DEFAULT_RETENTION",
    "DRIVER_BOUNDS",
    "GRACE_SECONDS",
    "HEARTBEAT_INTERVAL_SECONDS",
    "MAX_FILE_BYTES",
    "NO_LISTS",
    "RESTORE_SECONDS",
    "ApiKey",
    "ApiKeyNotFound",
    "ApiKeyRepository",
    "AttributeEquals",
    "Batch",
    "BatchMode",
    "BatchNotFound",
    "BatchOrder",
    "BatchState",
    "ChangeKind",
    "DiffSummary",
    "Event",
    "EventKind",
    "FileRefused",
    "FileRows",
    "Gates",
    "Histogram",
    "Interrupted",
    "InvalidArgument",
    "JsonRows",
    "Layer",
    "ListFilter",
    "Part",
    "Pin",
    "Price",
    "PriceDiff",
    "PriceFilter",
    "PriceList",
    "PriceListNotFound",
    "PriceOrder",
    "PriceVersion",
    "PricebookError",
    "PublishPolicy",
    "Quote",
    "QuoteLine",
    "Refused",
    "Retention",
    "RowSource",
    "Selection",
    "Served",
    "Severity",
    "Snapshot",
    "SnapshotExpired",
    "SnapshotNotFound",
    "SnapshotState",
    "SortPosition",
    "StorageMetrics",
    "Store",
    "Tier",
    "Unavailable",
    "VersionNotReached",
    "Watcher",
    "explain",
    "is_api_key",
    "leading_blocks",
    "quote",
    "yield_to_loop",
]
