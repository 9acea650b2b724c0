"""The switch to changed pointers: in their order, together, once warm or when time is up, and never to an older one."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Sequence

import pytest

from loaders.cache.pointer_switch import PointerSwitch
from loaders.cache.warmer import Warmer
from storage import PriceList
from tests.waiting import until


def pointer(name: str, revision: int, version: int | None = None, *, published: int | None = None) -> PriceList:
    """A pointer whose version is its revision, unless another is given."""
    version = revision if version is None else version
    created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    highest = version if published is None else published
    return PriceList(name, None, version, highest, revision, None, created, highest)


class FakeWarmer(Warmer):
    """Completes a warming when the test calls `finish`."""

    def __init__(self) -> None:
        self.finished: dict[tuple[str, int], asyncio.Event] = {}
        self.tasks: dict[tuple[str, int], asyncio.Task[None]] = {}

    def is_read(self, price_list: str) -> bool:
        return price_list != "unread"

    def start(self, pointer: PriceList) -> asyncio.Task[None]:
        key = pointer.name, pointer.revision
        self.tasks[key] = asyncio.ensure_future(self._wait(key))
        return self.tasks[key]

    async def _wait(self, key: tuple[str, int]) -> None:
        await self.finished.setdefault(key, asyncio.Event()).wait()

    async def finish(self, name: str, revision: int) -> None:
        self.finished.setdefault((name, revision), asyncio.Event()).set()
        for _ in range(5):
            await asyncio.sleep(0)


class Process:
    """A process, and the lists that it serves: `a`, `b` and `unread` at version 1 from the start."""

    def __init__(self) -> None:
        self.warmer = FakeWarmer()
        self.pointers = {name: pointer(name, 1) for name in ("a", "b", "unread")}
        self.served: list[dict[str, int]] = []
        """The revisions of all lists after each switch."""
        self.switch = PointerSwitch(self.warmer, self.pointers.get, self._serve)

    def _serve(self, pointers: Sequence[PriceList]) -> None:
        self.pointers.update({each.name: each for each in pointers})
        self.served.append({name: each.revision for name, each in self.pointers.items() if name != "unread"})

    async def follow(self, *pointers: PriceList) -> None:
        self.switch.follow(pointers)
        await asyncio.sleep(0)


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    process = Process()
    yield process
    process.switch.cancel()
    for task in process.warmer.tasks.values():
        task.cancel()
    await asyncio.gather(*process.warmer.tasks.values(), return_exceptions=True)


async def test_it_switches_when_the_version_is_warm(process: Process) -> None:
    await process.follow(pointer("a", 2))
    assert process.served == []
    await process.warmer.finish("a", 2)
    assert process.served == [{"a": 2, "b": 1}]


async def test_lists_that_changed_together_are_switched_to_together(process: Process) -> None:
    await process.follow(pointer("a", 2), pointer("b", 2))
    await process.warmer.finish("a", 2)
    assert process.served == []
    await process.warmer.finish("b", 2)
    assert process.served == [{"a": 2, "b": 2}]


async def test_a_later_change_of_another_list_waits_behind_an_earlier_one(process: Process) -> None:
    await process.follow(pointer("a", 2))
    await process.follow(pointer("b", 2))
    await process.follow(pointer("unread", 2))
    await process.warmer.finish("b", 2)
    assert process.served == [], "b was at version 2 only after a was"
    await process.warmer.finish("a", 2)
    assert process.served == [{"a": 2, "b": 1}, {"a": 2, "b": 2}]
    assert process.pointers["unread"].revision == 2


async def test_of_a_list_that_waits_only_the_newest_pointer_is_switched_to(process: Process) -> None:
    for revision in (2, 3, 4):
        await process.follow(pointer("a", revision))
    for revision in (2, 4):
        await process.warmer.finish("a", revision)
    assert [served["a"] for served in process.served] == [2, 4]
    assert ("a", 3) not in process.warmer.tasks


async def test_an_older_pointer_is_ignored(process: Process) -> None:
    await process.follow(pointer("a", 5))
    await process.follow(pointer("a", 4))
    await process.follow(pointer("a", 7))
    await process.follow(pointer("a", 6))
    for revision in (5, 7):
        await process.warmer.finish("a", revision)
    assert [served["a"] for served in process.served] == [5, 7]


async def test_it_switches_to_cold_versions_at_the_deadline(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders.cache.pointer_switch.MAX_SWITCH_DELAY_SECONDS", 0.05)
    await process.follow(pointer("a", 2), pointer("b", 2))
    await process.warmer.finish("b", 2)
    await process.follow(pointer("a", 3))

    async def has_switched_twice() -> bool:
        return len(process.served) == 2

    await until(has_switched_twice, "switched")
    assert process.served == [{"a": 2, "b": 2}, {"a": 3, "b": 2}]
    assert process.warmer.tasks["a", 2].cancelled()
    assert not process.warmer.tasks["a", 3].done(), "the current version is still being warmed"


async def test_an_earlier_version_is_switched_to_at_once_with_all_that_waits(process: Process) -> None:
    await process.follow(pointer("a", 2), pointer("b", 2))
    await process.follow(pointer("a", 3, 1, published=2))
    assert process.served == [{"a": 3, "b": 2}]
    await process.follow(pointer("b", 3))
    await process.warmer.finish("b", 3)
    assert process.served[1:] == [{"a": 3, "b": 3}]


async def test_a_change_that_moves_no_version_waits_only_for_those_of_its_list(process: Process) -> None:
    await process.follow(pointer("a", 2))
    await process.follow(pointer("b", 2, 1))
    assert process.served == [{"a": 1, "b": 2}]
    await process.follow(pointer("a", 3, 2))
    assert len(process.served) == 1
    await process.warmer.finish("a", 2)
    assert process.served[-1] == {"a": 3, "b": 2}


async def test_a_list_that_no_request_reads_is_switched_to_at_once(process: Process) -> None:
    await process.follow(pointer("unread", 2))
    assert process.pointers["unread"].revision == 2


async def test_a_cancelled_switch_does_not_switch(process: Process) -> None:
    await process.follow(pointer("a", 2))
    process.switch.cancel()
    await process.warmer.finish("a", 2)
    assert process.served == []


async def test_a_switch_that_fails_is_logged_and_the_next_one_is_made(
    process: Process, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(pointers: Sequence[PriceList]) -> None:
        raise RuntimeError(str(pointers))

    serve = process.switch._serve
    monkeypatch.setattr(process.switch, "_serve", fail)
    await process.follow(pointer("a", 2))
    await process.warmer.finish("a", 2)
    failures = [record for record in caplog.records if record.name == "pricebook.warming"]
    assert [record.exc_info is not None for record in failures] == [True]
    monkeypatch.setattr(process.switch, "_serve", serve)
    await process.follow(pointer("a", 3))
    await process.warmer.finish("a", 3)
    assert process.served == [{"a": 3, "b": 1}]
