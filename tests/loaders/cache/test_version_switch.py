"""Version switches: in order, once a version is warm or its deadline has passed, and never to an older pointer."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable

import pytest

from loaders.cache.version_switch import VersionSwitch
from loaders.cache.warmer import Warmer
from storage import PriceList


def make_pointer(revision: int) -> PriceList:
    created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return PriceList("retail", None, revision, revision, revision, None, created, revision)


class FakeWarmer(Warmer):
    """Completes a warming when the test calls `finish`."""

    def __init__(self) -> None:
        self.finished: dict[int, asyncio.Event] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    def start(self, pointer: PriceList) -> asyncio.Task[None]:
        self.tasks[pointer.revision] = asyncio.ensure_future(self._wait(pointer.revision))
        return self.tasks[pointer.revision]

    async def _wait(self, revision: int) -> None:
        await self.finished.setdefault(revision, asyncio.Event()).wait()

    def finish(self, revision: int) -> None:
        self.finished.setdefault(revision, asyncio.Event()).set()


class Recorder:
    """Starts switches, and records the revisions that they switched to."""

    def __init__(self) -> None:
        self.warmer = FakeWarmer()
        self.switched: list[int] = []
        self.done = asyncio.Event()

    def start(self, revision: int) -> VersionSwitch:
        switch: Callable[[PriceList], None] = lambda pointer: self.switched.append(pointer.revision)  # noqa: E731
        return VersionSwitch(make_pointer(revision), self.warmer, switch, lambda _: self.done.set())


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    yield recorder
    for task in recorder.warmer.tasks.values():
        task.cancel()
    await asyncio.gather(*recorder.warmer.tasks.values(), return_exceptions=True)


async def test_it_switches_when_the_version_is_warm(recorder: Recorder) -> None:
    recorder.start(2)
    await asyncio.sleep(0)
    assert recorder.switched == []
    recorder.warmer.finish(2)
    await recorder.done.wait()
    assert recorder.switched == [2]


async def test_only_the_newest_waiting_pointer_is_switched_to_next(recorder: Recorder) -> None:
    switch = recorder.start(2)
    await asyncio.sleep(0)
    switch.follow(make_pointer(3))
    switch.follow(make_pointer(4))
    for revision in (2, 3, 4):
        recorder.warmer.finish(revision)
    await recorder.done.wait()
    assert recorder.switched == [2, 4]


async def test_an_older_pointer_is_ignored(recorder: Recorder) -> None:
    switch = recorder.start(5)
    await asyncio.sleep(0)
    switch.follow(make_pointer(4))
    switch.follow(make_pointer(7))
    switch.follow(make_pointer(6))
    for revision in range(4, 8):
        recorder.warmer.finish(revision)
    await recorder.done.wait()
    assert recorder.switched == [5, 7]


async def test_it_switches_to_a_cold_version_at_the_deadline(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.cache.version_switch.MAX_SWITCH_DELAY_SECONDS", 0.05)
    switch = recorder.start(2)
    await asyncio.sleep(0)
    switch.follow(make_pointer(3))
    switch.follow(make_pointer(4))
    await recorder.done.wait()
    assert recorder.switched == [2, 4]
    assert recorder.warmer.tasks[2].cancelled()
    assert not recorder.warmer.tasks[4].done(), "the current version is still being warmed"


async def test_a_cancelled_switch_does_not_switch(recorder: Recorder) -> None:
    switch = recorder.start(2)
    await asyncio.sleep(0)
    switch.cancel()
    recorder.warmer.finish(2)
    await asyncio.gather(recorder.warmer.tasks[2], return_exceptions=True)
    assert recorder.switched == []
    assert not recorder.done.is_set()


async def test_a_switch_that_fails_ends_so_that_the_next_pointer_begins_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(pointer: PriceList) -> None:
        raise RuntimeError(pointer.name)

    warmer, ended = FakeWarmer(), asyncio.Event()
    warmer.finish(2)
    VersionSwitch(make_pointer(2), warmer, fail, lambda _: ended.set())
    async with asyncio.timeout(20):
        await ended.wait()
    failures = [record for record in caplog.records if record.name == "pricebook.warming"]
    assert [record.exc_info is not None for record in failures] == [True]
