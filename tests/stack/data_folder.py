"""Folders for the data of replica sets, in memory where there is room.

Members sync their journals with every acknowledged write, and their files with every new collection, which takes most
of the time of a short test on a disk. What a member wrote survives its death in memory, too.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")

MIN_FREE_BYTES = 6 << 30
"""A replica set of three takes up to 1.5 GB, and two workers run up to two each at once."""

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
    return MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MIN_FREE_BYTES


def _remove_leftovers() -> None:
    """Remove the folders of test runs that were killed."""
    for folder in MEMORY.glob(f"{_PREFIX}*"):
        process_id = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", process_id).exists():
            shutil.rmtree(folder, ignore_errors=True)
