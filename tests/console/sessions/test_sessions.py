"""Sessions live in memory, as long as they are used, and end at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from console.client.errors import Unauthenticated
from console.sessions import sessions as sessions_module
from console.sessions.sessions import IDLE_SECONDS, Sessions
from tests.console.conftest import Stage
from tests.waiting import until


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sessions(stage: Stage, clock: Clock) -> AsyncIterator[Sessions]:
    sessions = Sessions(f"{stage.url}/graphql", clock)
    yield sessions
    await sessions.close()


async def test_a_session_acts_in_the_name_of_its_token(sessions: Sessions, stage: Stage) -> None:
    session = sessions.find(await sessions.open(stage.keys["olivia"]))
    assert session is not None
    assert (await session.caller()).name == "olivia"


async def test_a_token_that_the_api_refuses_opens_none(sessions: Sessions) -> None:
    with pytest.raises(Unauthenticated):
        await sessions.open("pb_wrong")


async def test_a_session_ends_when_it_was_idle_for_too_long(sessions: Sessions, stage: Stage, clock: Clock) -> None:
    session_id = await sessions.open(stage.keys["rhea"])
    for _ in range(3):
        clock.now += IDLE_SECONDS
        assert sessions.find(session_id) is not None
    clock.now += IDLE_SECONDS + 1
    assert sessions.find(session_id) is None


async def test_a_tab_that_was_left_open_can_do_nothing_more(
    sessions: Sessions, stage: Stage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "EXPIRY_SECONDS", 0.01)
    session = sessions.find(await sessions.open(stage.keys["olivia"]))
    assert session is not None
    expiry = asyncio.create_task(sessions.expire())
    clock.now += IDLE_SECONDS + 1

    async def has_ended() -> bool:
        with suppress(Unauthenticated):
            await session.client.query("{ __typename }")
            return False
        return True

    await until(has_ended, "ended")
    expiry.cancel()


async def test_a_page_of_a_session_that_ended_can_do_nothing_more(sessions: Sessions, stage: Stage) -> None:
    session_id = await sessions.open(stage.keys["olivia"])
    session = sessions.find(session_id)
    assert session is not None
    sessions.end(session_id)
    await sessions.close()
    with pytest.raises(Unauthenticated):
        await session.client.query("{ __typename }")


async def test_the_session_used_longest_ago_makes_room(
    sessions: Sessions, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 2)
    first, second = [await sessions.open(stage.keys["rhea"]) for _ in range(2)]
    sessions.find(first)
    third = await sessions.open(stage.keys["rhea"])
    assert [sessions.find(each) is not None for each in (first, second, third)] == [True, False, True]


@pytest.mark.parametrize("session_id", [None, "", "unknown"])
async def test_an_unknown_id_is_no_session(sessions: Sessions, session_id: str | None) -> None:
    assert sessions.find(session_id) is None
