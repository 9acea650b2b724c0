"""Metrics of a store: counts of what this process did to batches and versions."""

import time
from collections import Counter, defaultdict

from storage.batches.batch import Batch, BatchMode
from storage.batches.states import BatchState
from storage.mongodb.driver_metrics import DriverMetrics
from storage.mongodb.histogram import Histogram
from storage.mongodb.transaction import instant

BATCH_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Upper bounds of the histogram buckets, in seconds."""


LATENESS_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Upper bounds of the histogram buckets of scheduled publishes, in seconds."""

RELEASE_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram buckets of publishing a release, in seconds."""

RELEASE_OUTCOMES = ("published", "rolled_back", "discarded", "held")
"""Outcomes of releases; a `held` one was due, but something stood against it."""

SCHEDULE_REASONS = ("pin", "gate", "expected_version", "approval", "unreadable")
"""Why a scheduled batch is held for a review when it is due."""

LAYER_COUNT_TTL_SECONDS = 7800.0
"""How long a count of the layers is exported: two listings of garbage collection, and some minutes."""


class StorageMetrics:
    """Counts committed changes, not attempts. Counts only grow.

    `batches` counts the batches that reached a state, `rows` their rows, by list. `durations` are from opening a batch
    until it was held or finished; the wait for a review is not included. `merges_throttled` and `throttle_seconds` are
    the merges that waited for compaction, and how long they did, by list. `lateness` is how long after their instant
    batches were published on schedule, by the clock of the database; `schedules_held` counts those that were held for
    review instead, by list and reason; `overdue` is the number of batches that are late, when it was last counted.
    `releases` counts releases by what was done with them: published, rolled_back, discarded or held; `release_seconds`
    is how long publishing one took.
    """

    def __init__(self) -> None:
        self.batches: Counter[tuple[str, BatchMode, BatchState]] = Counter()
        self.rows: Counter[tuple[str, BatchMode]] = Counter()
        self.durations: dict[tuple[BatchMode, BatchState], Histogram] = {}
        self.merges_throttled: Counter[str] = Counter()
        self.throttle_seconds: defaultdict[str, float] = defaultdict(float)
        self.retired: Counter[str] = Counter()
        self.restored: Counter[str] = Counter()
        self.layers_dropped = 0
        self.lateness = Histogram(LATENESS_BOUNDS)
        self.schedules_held: Counter[tuple[str, str]] = Counter()
        self.overdue = 0
        self.releases: Counter[str] = Counter()
        self.release_seconds = Histogram(RELEASE_BOUNDS)
        self.driver = DriverMetrics()
        self._layers = 0
        self._layers_counted_at = float("-inf")

    @property
    def layers(self) -> int:
        """Number of layers at the last listing; 0 if this process has not listed them for `LAYER_COUNT_TTL_SECONDS`."""
        return self._layers if time.monotonic() - self._layers_counted_at < LAYER_COUNT_TTL_SECONDS else 0

    def count_layers(self, layers: int) -> None:
        """Note the number of layers of the database."""
        self._layers, self._layers_counted_at = layers, time.monotonic()

    def count_batch(self, before: Batch, after: Batch) -> None:
        """Count a batch that left the states in progress, or HELD."""
        self.batches[after.price_list, after.mode, after.state] += 1
        if before.state is not BatchState.HELD:
            self.rows[after.price_list, after.mode] += after.received
            duration = (after.finished_at or instant()) - after.created_at
            histogram = self.durations.setdefault((after.mode, after.state), Histogram(BATCH_BOUNDS))
            histogram.add(max(0.0, duration.total_seconds()))  # the two times come from two clocks
