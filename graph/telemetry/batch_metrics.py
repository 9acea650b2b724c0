"""Metrics of batches, and of retention: what this process committed."""

from collections import Counter as Counts

from prometheus_client import Counter

from graph.telemetry.increases import Durations, HistogramCollector, Increases
from graph.telemetry.list_labels import ListLabels
from loaders import PointerCache
from storage import BATCH_BOUNDS, BatchMode, BatchState, StorageMetrics

_batches = Counter("pricebook_batches", "Batches that reached a state.", ["price_list", "mode", "state"])
_rows = Counter("pricebook_batch_rows", "Prices and removals that batches brought.", ["price_list", "mode"])
_duration = HistogramCollector(
    "pricebook_batch_duration_seconds",
    "From the opening of a batch until it was published, held, rejected, aborted or failed.",
    ["mode", "state"],
    buckets=BATCH_BOUNDS,
)
_retired = Counter("pricebook_versions_retired", "Versions that retention took.", ["price_list"])
_restored = Counter("pricebook_versions_restored", "Versions that were brought back.", ["price_list"])
_dropped = Counter("pricebook_layers_dropped", "Layers that were dropped because no version names them.")

_STATES = (BatchState.PUBLISHED, BatchState.HELD, BatchState.REJECTED, BatchState.ABORTED, BatchState.FAILED)


class BatchMetrics:
    """Tells what the store's meter counted."""

    def __init__(self, metrics: StorageMetrics, pointers: PointerCache, labels: ListLabels) -> None:
        self._metrics = metrics
        self._pointers = pointers
        self._labels = labels
        self._batches, self._rows, self._durations = Increases(_batches), Increases(_rows), Durations(_duration)
        self._retired, self._restored, self._dropped = Increases(_retired), Increases(_restored), Increases(_dropped)

    def tell(self) -> None:
        """Tell what is new."""
        # A list begins with zeros: an alert would not see the first batch of a kind that came out of nothing.
        lists = {self._labels.of(head.name) for head in self._pointers.price_lists()}
        batches: Counts[tuple[str, ...]] = Counts({(n, m, s): 0 for n in lists for m in BatchMode for s in _STATES})
        rows: Counts[tuple[str, ...]] = Counts({(name, mode): 0 for name in lists for mode in BatchMode})
        for (name, mode, state), count in self._metrics.batches.items():
            batches[self._labels.of(name), mode, state] += count
        for (name, mode), count in self._metrics.rows.items():
            rows[self._labels.of(name), mode] += count
        self._batches.tell(batches)
        self._rows.tell(rows)
        self._durations.tell({(mode, state): tally for (mode, state), tally in self._metrics.durations.items()})
        self._retired.tell(self._by_list(lists, self._metrics.retired))
        self._restored.tell(self._by_list(lists, self._metrics.restored))
        self._dropped.tell({(): self._metrics.layers_dropped})

    def _by_list(self, lists: set[str], counts: Counts[str]) -> Counts[tuple[str, ...]]:
        totals: Counts[tuple[str, ...]] = Counts({(name,): 0 for name in lists})
        for name, count in counts.items():
            totals[(self._labels.of(name),)] += count
        return totals
