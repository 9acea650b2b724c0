"""Work gives way after each slice where nobody waits, and has its share where the others take long."""

import asyncio
import time

import pytest

from storage import fair_yield
from storage.fair_yield import LONGEST_SECONDS, SHARE, yield_to_loop

SLICE_SECONDS = 0.001


def work(seconds: float) -> None:
    """Hold the event loop."""
    time.sleep(seconds)


async def turns_of_others(slices: int, each: float, stages: int = 1) -> int:
    """How often others had their turn while so many slices were worked on; theirs takes so many seconds each.

    Each slice goes through so many stages, of which each gives way.
    """
    had = 0
    ended = asyncio.Event()

    async def others() -> None:
        nonlocal had
        while not ended.is_set():
            had += 1
            work(each)
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    for _ in range(slices):
        work(SLICE_SECONDS)
        for _ in range(stages):
            await yield_to_loop()
    ended.set()
    await task
    return had


async def test_others_have_a_turn_after_each_slice_where_they_take_no_time() -> None:
    assert await turns_of_others(20, 0) >= 20


async def test_work_has_its_share_where_others_take_long() -> None:
    # A slice is over after a millisecond or later, so no more than this many fit into a turn of one's own.
    slices_in_a_turn = SHARE * 0.04 / SLICE_SECONDS
    assert 20 / slices_in_a_turn <= await turns_of_others(20, 0.04) < 15


async def test_work_of_several_stages_has_no_smaller_share() -> None:
    slices_in_a_turn = SHARE * 0.04 / SLICE_SECONDS
    assert 20 / slices_in_a_turn <= await turns_of_others(20, 0.04, stages=3) < 15


async def test_a_turn_has_an_end_however_long_the_others_take() -> None:
    slices = 3 * round(LONGEST_SECONDS / SLICE_SECONDS)
    assert await turns_of_others(slices, 0.4) >= 3


async def test_of_many_pieces_of_work_one_has_its_turn_in_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_yield, "SHARE", 0.0)
    done: list[list[int]] = []
    ended = asyncio.Event()

    async def rounds() -> None:
        while not ended.is_set():
            done.append([])
            await asyncio.sleep(0)

    async def slices(piece: int) -> None:
        for _ in range(10):
            await yield_to_loop()
            done[-1].append(piece)

    others = asyncio.create_task(rounds())
    await asyncio.gather(*(slices(piece) for piece in range(5)))
    ended.set()
    await others
    assert [pieces[0] for pieces in done if pieces] == 10 * [0, 1, 2, 3, 4]
    assert all(len(pieces) <= 1 for pieces in done)


async def test_who_waits_for_a_turn_no_more_is_passed_over() -> None:
    waiting = [asyncio.create_task(yield_to_loop()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    await waiting[2]
    assert [task.cancelled() for task in waiting] == [True, True, False]
