"""Metrics of price lists: which version is current, since when, and what is kept and waits."""

from collections import Counter as Counts
from typing import Final

from prometheus_client import Gauge

from graph.telemetry.increases import Durations, HistogramCollector
from graph.telemetry.list_labels import ListLabels
from loaders import LAG_BOUNDS, PointerCache
from storage import Store

# All processes see the same lists, so the one that looked last is believed.
_LATEST: Final = "livemostrecent"

_current = Gauge("pricebook_current_version", "The version that is current.", ["price_list"], multiprocess_mode=_LATEST)
_published = Gauge(
    "pricebook_published_timestamp_seconds",
    "When a version of the list was last published; 0 before the first.",
    ["price_list"],
    multiprocess_mode=_LATEST,
)
_pinned = Gauge(
    "pricebook_pinned_timestamp_seconds",
    "When the list was pinned; 0 while it is not.",
    ["price_list"],
    multiprocess_mode=_LATEST,
)
_kept = Gauge(
    "pricebook_versions_kept",
    "Versions that are kept, or can be brought back.",
    ["price_list"],
    multiprocess_mode=_LATEST,
)
_held = Gauge("pricebook_batches_held", "Batches that wait for a review.", ["price_list"], multiprocess_mode=_LATEST)
_lag = HistogramCollector(
    "pricebook_pointer_lag_seconds",
    "From the move of a pointer by another process until this one answered by it.",
    buckets=LAG_BOUNDS,
)
_pushed = Gauge(
    "pricebook_pointer_pushed",
    "1 while pointers are pushed to every process, 0 while one has to ask for them.",
    multiprocess_mode="livemin",
)


class ListMetrics:
    """Tells what the pointers in memory say, and what the database was found to hold when it was looked at."""

    def __init__(self, store: Store, pointers: PointerCache, labels: ListLabels) -> None:
        self._store = store
        self._pointers = pointers
        self._labels = labels
        self._lag = Durations(_lag)
        self._published: dict[tuple[str, int], float] = {}

    def tell(self) -> None:
        """Tell the pointers. A version has no meaning for several lists together, so others are left out."""
        _pushed.set(self._pointers.alive)
        self._lag.tell({(): self._pointers.lag})
        for head in self._pointers.price_lists():
            if self._labels.own(head.name):
                _current.labels(head.name).set(head.current_version or 0)
                _pinned.labels(head.name).set(head.pin.at.timestamp() if head.pin else 0)

    async def look(self) -> None:
        """Look at the database, and tell what is there. Raises the driver's errors."""
        names = [head.name for head in self._pointers.price_lists()]
        for gauge, found in ((_kept, await self._store.snapshots.counts()), (_held, await self._store.batches.held())):
            counts = Counts({self._labels.of(name): 0 for name in names})
            for name, count in found.items():
                counts[self._labels.of(name)] += count
            for label, count in counts.items():
                gauge.labels(label).set(count)
        await self._look_for_publishes()

    async def _look_for_publishes(self) -> None:
        pointers = [head for head in self._pointers.price_lists() if self._labels.own(head.name)]
        newest = [(head.name, head.published_version) for head in pointers]
        unknown = [key for key in newest if key[1] and key not in self._published]
        for key, snapshot in zip(unknown, await self._store.snapshots.get_many(unknown), strict=True):
            if snapshot and snapshot.published_at:
                self._published[key] = snapshot.published_at.timestamp()
        self._published = {key: self._published[key] for key in newest if key in self._published}
        for key in newest:
            _published.labels(key[0]).set(self._published.get(key, 0))
