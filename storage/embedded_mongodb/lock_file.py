"""A file that one process holds at a time: for as long as it lives, however it ends."""

import fcntl
import os
import time
from pathlib import Path

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.02


class Held(Exception):
    """Another process holds the file; `owner` is its id, None for a moment at its start."""

    def __init__(self, owner: int | None) -> None:
        super().__init__(f"Process {owner or '(it has not said which)'} holds it.")
        self.owner = owner


def hold(path: Path) -> int:
    """Take the file and return the descriptor that holds it until it is closed. Raises `Held`, `OSError`."""
    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if attempt == _ATTEMPTS:
                said = _said(held)
                os.close(held)
                raise Held(said) from None
            time.sleep(_PAUSE_SECONDS)  # somebody may only be looking who holds it
    os.ftruncate(held, 0)
    os.pwrite(held, str(os.getpid()).encode(), 0)
    return held


def owner(path: Path) -> int | None:
    """Return the id of the process that holds the file; None where nobody does."""
    try:
        looked_at = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _said(looked_at)
    finally:
        os.close(looked_at)
    return None


def _said(held: int) -> int | None:
    said = os.pread(held, 32, 0).decode()
    return int(said) if said.isdigit() else None
