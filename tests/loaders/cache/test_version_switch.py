"""Turning: one version after the other, none before its time, and never back to an older pointer."""

import asyncio
import datetime
from collections.abc import Callable

import pytest

from loaders.cache.version_switch import VersionSwitch
from loaders.cache.warmer import Warmer
from storage import PriceList


def head(revision: int) -> PriceList:
    created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return PriceList("retail", None, revision, revision, revision, None, created, revision)


class FakeWarmer(Warmer):
    """Warms what the test tells it to have warmed."""

    def __init__(self) -> None:
        self.warm: dict[int, asyncio.Event] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    def start(self, head: PriceList) -> asyncio.Task[None]:
        self.tasks[head.revision] = asyncio.ensure_future(self._wait(head.revision))
        return self.tasks[head.revision]

    async def _wait(self, revision: int) -> None:
        await self.warm.setdefault(revision, asyncio.Event()).wait()

    def has_warmed(self, revision: int) -> None:
        self.warm.setdefault(revision, asyncio.Event()).set()


class Line:
    """What was turned to, and whether that is the end."""

    def __init__(self) -> None:
        self.warmer = FakeWarmer()
        self.turned: list[int] = []
        self.done = asyncio.Event()

    def begin(self, revision: int) -> VersionSwitch:
        turn: Callable[[PriceList], None] = lambda head: self.turned.append(head.revision)  # noqa: E731
        return VersionSwitch(head(revision), self.warmer, turn, lambda _: self.done.set())


@pytest.fixture
def line() -> Line:
    return Line()


async def test_it_turns_when_the_version_is_warm(line: Line) -> None:
    line.begin(2)
    await asyncio.sleep(0)
    assert line.turned == []
    line.warmer.has_warmed(2)
    await line.done.wait()
    assert line.turned == [2]


async def test_what_is_published_meanwhile_is_next_and_what_it_overtakes_is_passed_over(line: Line) -> None:
    turning = line.begin(2)
    await asyncio.sleep(0)
    turning.follow(head(3))
    turning.follow(head(4))
    for revision in (2, 3, 4):
        line.warmer.has_warmed(revision)
    await line.done.wait()
    assert line.turned == [2, 4]


async def test_a_pointer_that_is_older_than_what_is_under_way_or_waits_is_no_news(line: Line) -> None:
    turning = line.begin(5)
    await asyncio.sleep(0)
    turning.follow(head(4))
    turning.follow(head(7))
    turning.follow(head(6))
    for revision in range(4, 8):
        line.warmer.has_warmed(revision)
    await line.done.wait()
    assert line.turned == [5, 7]


async def test_no_version_waits_longer_than_its_time(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders.cache.version_switch.MAX_SWITCH_DELAY_SECONDS", 0.05)
    turning = line.begin(2)
    await asyncio.sleep(0)
    turning.follow(head(3))
    turning.follow(head(4))
    await line.done.wait()
    assert line.turned == [2, 4]
    assert line.warmer.tasks[2].cancelled()
    assert not line.warmer.tasks[4].done(), "it goes on, for readers are on it now"


async def test_a_turning_that_is_left_turns_to_nothing(line: Line) -> None:
    turning = line.begin(2)
    await asyncio.sleep(0)
    turning.cancel()
    line.warmer.has_warmed(2)
    await asyncio.gather(line.warmer.tasks[2], return_exceptions=True)
    assert line.turned == []
    assert not line.done.is_set()
