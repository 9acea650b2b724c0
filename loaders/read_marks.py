"""Marks on the old versions that this process reads: retention does not expire a marked version."""

import asyncio

from storage import Snapshot

Key = tuple[str, int]


class ReadMarks:
    """The marks of a process that are not stored yet. A stored mark is not renewed within `interval` seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._pending: set[Key] = set()
        self._stored_at: dict[Key, float] = {}

    def note(self, price_list: str, version: int) -> None:
        """Record that a version is being read."""
        key = price_list, version
        stored_at = self._stored_at.get(key)
        if stored_at is None or asyncio.get_running_loop().time() - stored_at > self._interval:
            self._pending.add(key)

    def take(self) -> list[Key]:
        """Return the versions read since the last call, to be stored in the database."""
        now = asyncio.get_running_loop().time()
        keys = list(self._pending)
        self._pending.clear()
        self._stored_at = {key: time for key, time in self._stored_at.items() if now - time <= self._interval}
        self._stored_at.update(dict.fromkeys(keys, now))
        return keys

    def put_back(self, keys: list[Key]) -> None:
        """Return versions that could not be stored, to be taken again."""
        self._pending.update(keys)
        for key in keys:
            self._stored_at.pop(key, None)


def may_expire(snapshot: Snapshot) -> bool:
    """Whether a version that is being read may expire before its read is recorded in the background."""
    return snapshot.doomed_at is not None and snapshot.retired_at is None
