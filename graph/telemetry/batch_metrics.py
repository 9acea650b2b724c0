"""Metrics of batches, releases and retention, as committed by this process."""

from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Mapping

from prometheus_client import Counter, Gauge

from graph.telemetry.list_labels import ListLabels
from graph.telemetry.updaters import CounterUpdater, HistogramCollector, HistogramUpdater
from loaders import PointerCache
from storage import (
    BATCH_BOUNDS,
    LATENESS_BOUNDS,
    RELEASE_BOUNDS,
    RELEASE_OUTCOMES,
    SCHEDULE_REASONS,
    BatchMode,
    BatchState,
    StorageMetrics,
)

_batches = Counter("pricebook_batches", "Batches that reached a state.", ["price_list", "mode", "state"])
_rows = Counter("pricebook_batch_rows", "Prices and tombstones in batches.", ["price_list", "mode"])
_duration = HistogramCollector(
    "pricebook_batch_duration_seconds",
    "Time from opening a batch until it was published, held, rejected, aborted or failed.",
    ["mode", "state"],
    buckets=BATCH_BOUNDS,
)
_lateness = HistogramCollector(
    "pricebook_scheduled_publish_lateness_seconds",
    "Time from the instant of a scheduled batch until it was published, by the clock of the database.",
    buckets=LATENESS_BOUNDS,
)
_schedules_held = Counter(
    "pricebook_schedules_held",
    "Scheduled batches that were held for a review when they were due.",
    ["price_list", "reason"],
)
_overdue = Gauge(
    "pricebook_batches_overdue",
    "Scheduled batches that were due more than 5 s ago, counted every 30 s.",
    multiprocess_mode="livemax",
)
_releases = Counter("pricebook_releases", "Releases by what became of them.", ["outcome"])
_release_duration = HistogramCollector(
    "pricebook_release_publish_seconds",
    "Time to publish a release, from the comparison of its batches to the commit of the transaction.",
    buckets=RELEASE_BOUNDS,
)
_throttled = Counter("pricebook_merges_throttled", "Merges that waited for compaction.", ["price_list"])
_throttle_seconds = Counter(
    "pricebook_merge_throttle_seconds", "Time for which merges waited for compaction.", ["price_list"]
)
_retired = Counter("pricebook_versions_retired", "Versions that expired.", ["price_list"])
_restored = Counter("pricebook_versions_restored", "Expired versions that were restored.", ["price_list"])
_dropped = Counter("pricebook_layers_dropped", "Layers dropped because no version references them.")
_layers = Gauge(
    "pricebook_layers",
    "Layers of the database, counted once an hour by the leader of the maintenance; 0 in a process that has not "
    "counted them for two hours.",
    multiprocess_mode="livemax",
)

_STATES = (BatchState.PUBLISHED, BatchState.HELD, BatchState.REJECTED, BatchState.ABORTED, BatchState.FAILED)


class BatchMetrics:
    """Exports the metrics of the store about batches, releases and retention."""

    def __init__(self, metrics: StorageMetrics, pointers: PointerCache, labels: ListLabels) -> None:
        self._metrics = metrics
        self._pointers = pointers
        self._labels = labels
        self._batches, self._rows = CounterUpdater(_batches), CounterUpdater(_rows)
        self._durations = HistogramUpdater(_duration)
        self._lateness, self._schedules_held = HistogramUpdater(_lateness), CounterUpdater(_schedules_held)
        self._releases, self._release_duration = CounterUpdater(_releases), HistogramUpdater(_release_duration)
        self._throttled, self._throttle_seconds = CounterUpdater(_throttled), CounterUpdater(_throttle_seconds)
        self._retired, self._restored = CounterUpdater(_retired), CounterUpdater(_restored)
        self._dropped = CounterUpdater(_dropped)

    def update(self) -> None:
        """Export what has been counted since the last update."""
        # Every list starts with zeros: an alert on an increase would miss the first batch of a new series.
        lists = {self._labels.label(pointer.name) for pointer in self._pointers.price_lists()}
        batches: Counts[tuple[str, ...]] = Counts({(n, m, s): 0 for n in lists for m in BatchMode for s in _STATES})
        rows: Counts[tuple[str, ...]] = Counts({(name, mode): 0 for name in lists for mode in BatchMode})
        for (name, mode, state), count in self._metrics.batches.items():
            batches[self._labels.label(name), mode, state] += count
        for (name, mode), count in self._metrics.rows.items():
            rows[self._labels.label(name), mode] += count
        self._batches.update(batches)
        self._rows.update(rows)
        self._durations.update({(mode, state): taken for (mode, state), taken in self._metrics.durations.items()})
        schedules: Counts[tuple[str, ...]] = Counts({(name, why): 0 for name in lists for why in SCHEDULE_REASONS})
        for (name, why), count in self._metrics.schedules_held.items():
            schedules[self._labels.label(name), why] += count
        self._schedules_held.update(schedules)
        self._lateness.update({(): self._metrics.lateness})
        _overdue.set(self._metrics.overdue)
        self._releases.update({(outcome,): self._metrics.releases[outcome] for outcome in RELEASE_OUTCOMES})
        self._release_duration.update({(): self._metrics.release_seconds})
        self._throttled.update(self._by_list(lists, self._metrics.merges_throttled))
        self._throttle_seconds.update(self._by_list(lists, self._metrics.throttle_seconds))
        self._retired.update(self._by_list(lists, self._metrics.retired))
        self._restored.update(self._by_list(lists, self._metrics.restored))
        self._dropped.update({(): self._metrics.layers_dropped})
        _layers.set(self._metrics.layers)

    def _by_list(self, lists: set[str], counts: Mapping[str, float]) -> Mapping[tuple[str, ...], float]:
        totals: defaultdict[tuple[str, ...], float] = defaultdict(float, {(name,): 0.0 for name in lists})
        for name, count in counts.items():
            totals[(self._labels.label(name),)] += count
        return totals
