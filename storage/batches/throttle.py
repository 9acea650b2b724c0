"""Throttling merges while compaction does not keep up: each of them adds a layer, and each layer slows reads."""

import asyncio
import logging
from decimal import Decimal
from time import monotonic

from msgspec.structs import replace

from storage.batches.batch import Batch, BatchMode, PublishPolicy
from storage.batches.metrics import StorageMetrics
from storage.catalog.gates import GateFinding, Severity
from storage.catalog.price_lists import PriceListRepository
from storage.catalog.snapshots import Snapshot, SnapshotRepository, current_snapshot

log = logging.getLogger("pricebook.throttle")

UNTHROTTLED_LAYERS = 16
"""Number of layers that a version gets without delay."""

WAIT_SECONDS_PER_LAYER = 0.5
"""How long a merge waits for each layer that its version would have above `UNTHROTTLED_LAYERS`."""

MAX_WAIT_SECONDS = 3.0
"""How long a merge waits at most. It is then published in any case."""

THROTTLE_POLL_SECONDS = 0.1
"""Interval at which a waiting merge checks whether compaction has made room."""

LAYERS_GATE = "layers"
"""The gate name of the finding of a merge that waited."""


class MergeThrottle:
    """Lets merges wait before they are published onto a version with many layers."""

    def __init__(
        self, price_lists: PriceListRepository, snapshots: SnapshotRepository, metrics: StorageMetrics
    ) -> None:
        self._price_lists = price_lists
        self._snapshots = snapshots
        self._metrics = metrics

    async def wait(self, batch: Batch, base: Snapshot | None) -> tuple[Batch, Snapshot | None]:
        """Wait if a batch merges into a version with many layers, until a compaction folded some or the time is over.

        `base` is the current version. Returns the batch, with a finding if it waited, and the version current by then.
        """
        if base is None or batch.mode is not BatchMode.MERGE or batch.publish is PublishPolicy.DRY_RUN:
            return batch, base
        layers, excess = len(base.layers), _excess(base)
        if not excess:
            return batch, base
        start = monotonic()
        while excess and monotonic() - start < min(excess * WAIT_SECONDS_PER_LAYER, MAX_WAIT_SECONDS):
            await asyncio.sleep(THROTTLE_POLL_SECONDS)
            base = await current_snapshot(self._price_lists, self._snapshots, batch.price_list)
            excess = _excess(base)
        return self._noted(batch, layers, monotonic() - start), base

    def _noted(self, batch: Batch, layers: int, seconds: float) -> Batch:
        self._metrics.merges_throttled[batch.price_list] += 1
        self._metrics.throttle_seconds[batch.price_list] += seconds
        message = (
            f"The current version had {layers} layers, so the merge waited {seconds:.1f} s for compaction. "
            "Send fewer and larger batches if this happens often."
        )
        log.warning("Batch %s of %s: %s", batch.id, batch.price_list, message)
        finding = GateFinding(LAYERS_GATE, Severity.INFO, message, Decimal(layers), Decimal(UNTHROTTLED_LAYERS))
        return replace(batch, findings=(*batch.findings, finding))


def _excess(base: Snapshot | None) -> int:
    """Return the number of layers that a merge onto a version would have above `UNTHROTTLED_LAYERS`."""
    return max(0, len(base.layers) + 1 - UNTHROTTLED_LAYERS) if base else 0
