"""Which versions this process reads that are not current: retention leaves them alone for as long."""

import asyncio

from storage import Snapshot

Key = tuple[str, int]


class ReadMarks:
    """The reads of a process that are not noted in the database yet. `interval` is how long, in seconds, one counts."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._unnoted: set[Key] = set()
        self._noted: dict[Key, float] = {}

    def note(self, price_list: str, version: int) -> None:
        """Note that a version is being read."""
        key = price_list, version
        noted = self._noted.get(key)
        if noted is None or asyncio.get_running_loop().time() - noted > self._interval:
            self._unnoted.add(key)

    def take(self) -> list[Key]:
        """Return what was read since the last time, for it to be noted in the database."""
        now = asyncio.get_running_loop().time()
        keys = list(self._unnoted)
        self._unnoted.clear()
        self._noted = {key: at for key, at in self._noted.items() if now - at <= self._interval}
        self._noted.update(dict.fromkeys(keys, now))
        return keys

    def put_back(self, keys: list[Key]) -> None:
        """Take back what could not be noted."""
        self._unnoted.update(keys)
        for key in keys:
            self._noted.pop(key, None)


def is_in_danger(snapshot: Snapshot) -> bool:
    """Whether a version that is being read may be gone before the next heartbeat."""
    return snapshot.doomed_at is not None and snapshot.retired_at is None
