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
from storage.gates import DiffSummary, GateFinding, Gates, Severity
from storage.mongo import explain
from storage.parts import Part
from storage.pointers import Pin, PriceList
from storage.records import Price, Tier
from storage.snapshots import Layer, Snapshot, SnapshotState
from storage.sources import JsonRows, RowSource
from storage.states import BatchState
from storage.store import Store
from storage.watcher import Watcher

__all__ = [
    "Batch",
    "BatchMode",
    "BatchOrder",
    "BatchState",
    "Broken",
    "DiffSummary",
    "Event",
    "EventKind",
    "GateFinding",
    "Gates",
    "InvalidArgument",
    "ItemError",
    "JsonRows",
    "Layer",
    "Part",
    "Pin",
    "Price",
    "PriceList",
    "PriceListNotFound",
    "PricebookError",
    "PublishPolicy",
    "Refusal",
    "Refused",
    "RowSource",
    "Severity",
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
