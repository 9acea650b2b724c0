"""A heartbeat is written at an interval, and at once when a pointer moves."""

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from loaders import PointerCache
from loaders.heartbeat import READS_INTERVAL_SECONDS, Heartbeat
from storage import Store
from storage.maintenance.expiration import SETTLE_SECONDS
from tests.waiting import until


class FakeProcesses:
    """Counts the heartbeats."""

    def __init__(self) -> None:
        self.beats = 0

    async def beat(self, revisions: Mapping[str, int]) -> None:
        self.beats += 1

    async def leave(self) -> None:
        self.beats = 0


class FakePointers:
    """Pointers that the test moves; counts how often the marks of reads were taken, and the clock was sampled."""

    def __init__(self) -> None:
        self.moved = asyncio.Event()
        self.reads = self.clock = self
        self.taken = self.samples = 0

    def revisions(self) -> Mapping[str, int]:
        return {"retail": 1}

    def take(self) -> list[tuple[str, int]]:
        self.taken += 1
        return []

    async def sample(self) -> None:
        self.samples += 1

    def move(self) -> None:
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()


class FakeStore:
    def __init__(self) -> None:
        self.processes = FakeProcesses()
        self.snapshots = None


def test_reads_are_recorded_several_times_before_a_marked_version_expires() -> None:
    assert SETTLE_SECONDS >= 3 * READS_INTERVAL_SECONDS


async def test_a_heartbeat_is_written_at_its_interval_and_at_once_when_a_pointer_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loaders.heartbeat.READS_INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr("loaders.heartbeat.HEARTBEAT_INTERVAL_SECONDS", 3600)
    store, pointers = FakeStore(), FakePointers()
    heartbeat = Heartbeat(cast("Store", store), cast("PointerCache", pointers))
    heartbeat.start()

    async def has_looped() -> bool:
        return pointers.taken > 10

    async def has_beaten_twice() -> bool:
        return store.processes.beats == 2

    await until(has_looped, "looped")
    assert (store.processes.beats, pointers.samples) == (1, 1)
    pointers.move()
    await until(has_beaten_twice, "written when a pointer moved")
    await heartbeat.stop()
