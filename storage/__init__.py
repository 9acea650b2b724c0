"""Versioned snapshots of price lists on MongoDB: the only package that knows the database."""

from storage.batches import Batch, BatchMode, BatchOrder, PublishPolicy, Refusal
from storage.decode import ItemError
from storage.errors import (
    Broken,
    InvalidArgument,
    PricebookError,
    PriceListNotFound,
    Refused,
    SnapshotExpired,
    SnapshotNotFound,
    Unavailable,
)
from storage.events import Event, EventKind
from storage.mongo import explain
from storage.pointers import Pin, PriceList
from storage.records import Price, Tier
from storage.snapshots import Snapshot, SnapshotState
from storage.states import BatchState
from storage.store import Store
from storage.watcher import Watcher

__all__ = [
    "Batch",
    "BatchMode",
    "BatchOrder",
    "BatchState",
    "Broken",
    "Event",
    "EventKind",
    "InvalidArgument",
    "ItemError",
    "Pin",
    "Price",
    "PriceList",
    "PriceListNotFound",
    "PricebookError",
    "PublishPolicy",
    "Refusal",
    "Refused",
    "Snapshot",
    "SnapshotExpired",
    "SnapshotNotFound",
    "SnapshotState",
    "Store",
    "Tier",
    "Unavailable",
    "Watcher",
    "explain",
]
