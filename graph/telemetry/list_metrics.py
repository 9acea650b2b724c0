"""Metrics of price lists: the current version, pins, retained versions, held and scheduled batches."""

from collections import Counter as Counts
from typing import Final

from prometheus_client import Gauge

from graph.telemetry.list_labels import ListLabels
from graph.telemetry.updaters import HistogramCollector, HistogramUpdater
from loaders import LAG_BOUNDS, PointerCache
from storage import Snapshot, Store

_LATEST: Final = "livemostrecent"
"""All processes see the same lists, so the most recent value is the right one."""

_current = Gauge(
    "pricebook_current_version", "The current version; 0 before the first.", ["price_list"], multiprocess_mode=_LATEST
)
_published = Gauge(
    "pricebook_published_timestamp_seconds",
    "Time of the last publication of a new version; 0 before the first.",
    ["price_list"],
    multiprocess_mode=_LATEST,
)
_pinned = Gauge(
    "pricebook_pinned_timestamp_seconds",
    "Time at which the list was pinned; 0 if it is not pinned.",
    ["price_list"],
    multiprocess_mode=_LATEST,
)
_kept = Gauge(
    "pricebook_versions_kept",
    "Versions that are retained or can be restored.",
    ["price_list"],
    multiprocess_mode=_LATEST,
)
_held = Gauge(
    "pricebook_batches_held", "Held batches without a schedule or a release.", ["price_list"], multiprocess_mode=_LATEST
)
_scheduled = Gauge("pricebook_batches_scheduled", "Scheduled batches.", ["price_list"], multiprocess_mode=_LATEST)
_lag = HistogramCollector(
    "pricebook_pointer_lag_seconds",
    "Time from a pointer update by another process until this process served it.",
    buckets=LAG_BOUNDS,
)
_pushed = Gauge(
    "pricebook_pointer_pushed",
    "1 if pointers are pushed to every process, 0 if a process has to poll them.",
    multiprocess_mode="livemin",
)


class ListMetrics:
    """Exports the pointers in memory, and counts that are read from the database."""

    def __init__(self, store: Store, pointers: PointerCache, labels: ListLabels) -> None:
        self._store = store
        self._pointers = pointers
        self._labels = labels
        self._lag = HistogramUpdater(_lag)
        self._published: dict[tuple[str, int], float] = {}
        self._exported: set[str] = set()

    def update(self) -> None:
        """Export the pointers of lists with a label of their own: a version of several lists has no meaning."""
        _pushed.set(self._pointers.alive)
        self._lag.update({(): self._pointers.lag})
        pointers = [pointer for pointer in self._pointers.price_lists() if self._labels.has_own(pointer.name)]
        for pointer in pointers:
            _current.labels(pointer.name).set(pointer.current_version or 0)
            _pinned.labels(pointer.name).set(pointer.pin.at.timestamp() if pointer.pin else 0)
        names = {pointer.name for pointer in pointers}
        self._exported |= names
        for name in self._exported - names:  # they were deleted; series cannot be removed in multiprocess mode
            for gauge in (_current, _published, _pinned, _kept, _held, _scheduled):
                gauge.labels(name).set(0)

    async def refresh(self) -> None:
        """Read the counts from the database and export them. Raises the errors of the driver."""
        names = [pointer.name for pointer in self._pointers.price_lists()]
        for gauge, counted in (
            (_kept, await self._store.snapshots.counts()),
            (_held, await self._store.batches.held()),
            (_scheduled, await self._store.batches.count_scheduled()),
        ):
            counts = Counts({self._labels.label(name): 0 for name in names})
            for name, count in counted.items():
                counts[self._labels.label(name)] += count
            for label, count in counts.items():
                gauge.labels(label).set(count)
        await self._refresh_published()

    async def _refresh_published(self) -> None:
        pointers = [pointer for pointer in self._pointers.price_lists() if self._labels.has_own(pointer.name)]
        newest = [(pointer.name, pointer.published_version) for pointer in pointers]
        unknown = [key for key in newest if key[1] and key not in self._published]
        for key, snapshot in zip(unknown, await self._store.snapshots.get_many(unknown), strict=True):
            if isinstance(snapshot, Snapshot) and snapshot.published_at:
                self._published[key] = snapshot.published_at.timestamp()
        self._published = {key: self._published[key] for key in newest if key in self._published}
        for key in newest:
            _published.labels(key[0]).set(self._published.get(key, 0))
