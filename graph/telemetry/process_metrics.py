"""Metrics of the process itself: its version and its memory."""

import os
from importlib.metadata import version
from pathlib import Path

from prometheus_client import Gauge

_STATM = Path("/proc/self/statm")

_build_info = Gauge(
    "pricebook_build_info", "1, labelled with the running version.", ["version"], multiprocess_mode="livemax"
)
_workers = Gauge("pricebook_workers", "Worker processes that are alive.", multiprocess_mode="livesum")
_memory = Gauge(
    "pricebook_resident_memory_bytes",
    "Resident memory of all worker processes; only on systems with /proc.",
    multiprocess_mode="livesum",
)


class ProcessMetrics:
    """Exports the version and the memory of this process."""

    def update(self) -> None:
        """Export the current values."""
        _build_info.labels(version("pricebook")).set(1)
        _workers.set(1)
        if _STATM.exists():
            resident_pages = int(_STATM.read_text().split()[1])
            _memory.set(resident_pages * os.sysconf("SC_PAGE_SIZE"))
