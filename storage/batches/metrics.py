"""The meter of a store: what this process did to batches and versions, in plain numbers for whoever looks at them."""

from collections import Counter

from storage.batches.repository import Batch, BatchMode
from storage.batches.states import BatchState
from storage.mongodb.driver_metrics import DriverMetrics
from storage.mongodb.histogram import Histogram
from storage.mongodb.transaction import instant

BATCH_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class StorageMetrics:
    """Counts what was committed, never what was tried. Numbers only grow.

    `batches` are those that reached a state, `rows` what they brought, by list; `durations` are from opening a batch
    until it needed nothing more but, if it was held, a review.
    """

    def __init__(self) -> None:
        self.batches: Counter[tuple[str, BatchMode, BatchState]] = Counter()
        self.rows: Counter[tuple[str, BatchMode]] = Counter()
        self.durations: dict[tuple[BatchMode, BatchState], Histogram] = {}
        self.retired: Counter[str] = Counter()
        self.restored: Counter[str] = Counter()
        self.layers_dropped = 0
        self.driver = DriverMetrics()

    def batch_moved(self, before: Batch, after: Batch) -> None:
        """Count a batch that came out of progress, or out of its review."""
        self.batches[after.price_list, after.mode, after.state] += 1
        if before.state is not BatchState.HELD:
            self.rows[after.price_list, after.mode] += after.received
            duration = (after.finished_at or instant()) - after.created_at
            tally = self.durations.setdefault((after.mode, after.state), Histogram(BATCH_BOUNDS))
            tally.add(max(0.0, duration.total_seconds()))  # the two times are of two clocks
