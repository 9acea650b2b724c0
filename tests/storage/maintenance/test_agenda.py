"""The agenda: which lists are due, in which order, and after errors."""

import asyncio

import pytest

from storage.maintenance.agenda import Agenda


async def test_lists_are_taken_once_the_earliest_first_and_no_more_than_asked_for() -> None:
    agenda = Agenda()
    for name in ("b", "a", "c", "b"):
        agenda.add(name)
    assert [await agenda.take(2), await agenda.take(2)] == [["b", "a"], ["c"]]


async def test_a_list_that_is_added_again_keeps_the_earlier_time() -> None:
    agenda = Agenda()
    agenda.add("a", 1000.0)
    agenda.add("a")
    agenda.add("a", 1000.0)
    assert await agenda.take(2) == ["a"]
    agenda.add("b")
    assert await agenda.take(2) == ["b"], "the later time of a is forgotten"


async def test_a_list_that_becomes_due_ends_a_wait() -> None:
    agenda = Agenda()
    agenda.add("later", 1000.0)
    waiting = asyncio.create_task(agenda.take(2))
    await asyncio.sleep(0)
    assert not waiting.done()
    agenda.add("now")
    assert await waiting == ["now"]


async def test_a_list_is_due_after_its_delay() -> None:
    agenda = Agenda()
    agenda.add("b", 0.02)
    agenda.add("a", 0.01)
    assert [await agenda.take(1), await agenda.take(1)] == [["a"], ["b"]]


async def test_a_list_is_left_alone_after_an_error_and_longer_after_each(monkeypatch: pytest.MonkeyPatch) -> None:
    agenda, loop = Agenda(), asyncio.get_running_loop()
    now = 0.0
    monkeypatch.setattr(loop, "time", lambda: now)
    delays = []
    for _ in range(8):
        agenda.retry("bad")
        agenda.add("bad")
        agenda.add("good")
        assert await agenda.take(2) == ["good"], "a move of its pointer does not bring it forward"
        delays.append(agenda._due["bad"] - now)
        now = agenda._due["bad"]
        assert await agenda.take(2) == ["bad"]
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300]
    agenda.succeed("bad")
    agenda.add("bad")
    assert await agenda.take(1) == ["bad"]


async def test_what_is_due_later_than_it_was_taken_does_not_pile_up() -> None:
    agenda = Agenda()
    for _ in range(1000):
        agenda.add("a", 1000.0)
        agenda.add("a")
        assert await agenda.take(1) == ["a"]
    assert len(agenda._heap) < 100
