"""Metrics of the process itself: what it is, and the memory that it has."""

import os
from importlib.metadata import version
from pathlib import Path

from prometheus_client import Gauge

_STATM = Path("/proc/self/statm")

_build_info = Gauge("pricebook_build_info", "1, with the version that runs.", ["version"], multiprocess_mode="livemax")
_workers = Gauge("pricebook_workers", "Processes that serve.", multiprocess_mode="livesum")
_memory = Gauge(
    "pricebook_resident_memory_bytes",
    "Resident memory of the processes that serve; not told where there is no /proc.",
    multiprocess_mode="livesum",
)


class ProcessMetrics:
    """Tells what this process is, and its memory."""

    def tell(self) -> None:
        """Tell it as it is."""
        _build_info.labels(version("pricebook")).set(1)
        _workers.set(1)
        if _STATM.exists():
            resident_pages = int(_STATM.read_text().split()[1])
            _memory.set(resident_pages * os.sysconf("SC_PAGE_SIZE"))
