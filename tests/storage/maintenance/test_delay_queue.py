"""The delay queue: which lists are due, in which order, and after errors."""

import asyncio

import pytest

from storage.maintenance.delay_queue import DelayQueue


async def test_lists_are_taken_once_the_earliest_first_and_no_more_than_asked_for() -> None:
    queue = DelayQueue()
    for name in ("b", "a", "c", "b"):
        queue.add(name)
    assert [await queue.take(2), await queue.take(2)] == [["b", "a"], ["c"]]


async def test_a_list_that_is_added_again_keeps_the_earlier_time() -> None:
    queue = DelayQueue()
    queue.add("a", 1000.0)
    queue.add("a")
    queue.add("a", 1000.0)
    assert await queue.take(2) == ["a"]
    queue.add("b")
    assert await queue.take(2) == ["b"], "the later time of a is forgotten"


async def test_a_list_that_becomes_due_ends_a_wait() -> None:
    queue = DelayQueue()
    queue.add("later", 1000.0)
    waiting = asyncio.create_task(queue.take(2))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.add("now")
    assert await waiting == ["now"]


async def test_a_list_is_due_after_its_delay() -> None:
    queue = DelayQueue()
    queue.add("b", 0.02)
    queue.add("a", 0.01)
    assert [await queue.take(1), await queue.take(1)] == [["a"], ["b"]]


async def test_a_list_that_was_due_earlier_is_taken_first_whenever_it_was_added() -> None:
    queue = DelayQueue()
    for name, delay in (("a", -1.0), ("b", 0.0), ("c", -2.0)):
        queue.add(name, delay)
    assert await queue.take(3) == ["c", "a", "b"]


async def test_how_long_a_list_is_left_alone_after_an_error_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, loop = DelayQueue((0.25, 1.0)), asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda: 0.0)
    delays = []
    for _ in range(4):
        queue.retry("bad")
        delays.append(queue._due["bad"])
    assert delays == [0.25, 0.5, 1.0, 1.0]


async def test_a_list_is_left_alone_after_an_error_and_longer_after_each(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, loop = DelayQueue(), asyncio.get_running_loop()
    now = 0.0
    monkeypatch.setattr(loop, "time", lambda: now)
    delays = []
    for _ in range(8):
        queue.retry("bad")
        queue.add("bad")
        queue.add("good")
        assert await queue.take(2) == ["good"], "a move of its pointer does not bring it forward"
        delays.append(queue._due["bad"] - now)
        now = queue._due["bad"]
        assert await queue.take(2) == ["bad"]
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300]
    queue.forget_errors("bad")
    queue.add("bad")
    assert await queue.take(1) == ["bad"]


async def test_what_is_due_later_than_it_was_taken_does_not_pile_up() -> None:
    queue = DelayQueue()
    for _ in range(1000):
        queue.add("a", 1000.0)
        queue.add("a")
        assert await queue.take(1) == ["a"]
    assert len(queue._heap) < 100
