"""Folders for the data of replica sets, in memory where there is room.

Members sync their journals with every acknowledged write, and their files with every new collection, which takes most
of the time of a short test on a disk. Data in memory, too, survives when the process of a member is killed.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")

MIN_FREE_BYTES_PER_WORKER = 3 << 30
"""A replica set of three takes up to 1.5 GB, and a worker runs up to two at once."""

_PREFIX = "pricebook-test-"


@contextmanager
def data_folder(name: str, on_disk: Path) -> Iterator[Path]:
    """Create a folder for a context: in memory if that has room, otherwise `on_disk`."""
    _remove_leftovers()
    folder = MEMORY / f"{_PREFIX}{os.getpid()}-{name}" if _has_room() else on_disk
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _has_room() -> bool:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    is_writable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    return is_writable and shutil.disk_usage(MEMORY).free >= workers * MIN_FREE_BYTES_PER_WORKER


def _remove_leftovers() -> None:
    """Remove the folders of test runs that were killed."""
    for folder in MEMORY.glob(f"{_PREFIX}*"):
        process_id = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", process_id).exists():
            shutil.rmtree(folder, ignore_errors=True)
