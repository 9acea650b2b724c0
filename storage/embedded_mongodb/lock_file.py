"""A lock file that one process holds at a time; the lock ends with the process, however it ends."""

import fcntl
import os
import time
from pathlib import Path

_ATTEMPTS = 5
_RETRY_INTERVAL_SECONDS = 0.02


class LockHeld(Exception):
    """Another process holds the lock. `owner` is its process id; None for a moment while it starts."""

    def __init__(self, owner: int | None) -> None:
        super().__init__(f"Process {owner or '(id unknown)'} holds the lock.")
        self.owner = owner


def acquire(path: Path) -> int:
    """Acquire the lock and return the descriptor that holds it until it is closed. Raises `LockHeld`, `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if attempt == _ATTEMPTS:
                holder = _read_pid(descriptor)
                os.close(descriptor)
                raise LockHeld(holder) from None
            time.sleep(_RETRY_INTERVAL_SECONDS)  # `owner` holds a shared lock for a moment
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def owner(path: Path) -> int | None:
    """Return the id of the process that holds the lock, or None if no process does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(descriptor)
    finally:
        os.close(descriptor)
    return None


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode()
    return int(text) if text.isdigit() else None
