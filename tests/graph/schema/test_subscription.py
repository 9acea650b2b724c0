"""Subscriptions: which changes of a list are sent, and that none is missed after a broken connection."""

from typing import Any

import pytest

from graph.schema import subscription
from tests.graph.api import ROLLBACK, Api, row
from tests.graph.sockets import Socket, connection

PUBLISHED = 'subscription ($after: Int) { published(priceList: "retail", after: $after) { revision version kind } }'


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list `retail` with versions 1 to 3, which was rolled back to 1."""
    await api.create("retail")
    for amount in ("1", "2", "3"):
        await api.publish("retail", [row("a", amount)])
    await api.submit("retail", [row("a", "9")], publish="ON_APPROVAL")
    await api.data(ROLLBACK, input={"priceList": "retail", "toVersion": 1, "reason": "wrong"})
    return api


async def subscribe(socket: Socket, after: int | None = None) -> None:
    await socket.init()
    socket.send(id="1", type="subscribe", payload={"query": PUBLISHED, "variables": {"after": after}})


async def change(socket: Socket) -> dict[str, Any]:
    """The next change of the list."""
    payload = (await socket.receive())["payload"]
    published: dict[str, Any] = payload["data"]["published"]
    return published


async def roll_back_to_2(retail: Api) -> None:
    await retail.data(ROLLBACK, input={"priceList": "retail", "toVersion": 2, "reason": "better"})


async def check_that_no_other_change_was_sent(socket: Socket, retail: Api) -> None:
    """Make another change, and check that it is the next event."""
    await roll_back_to_2(retail)
    following = await change(socket)
    assert (following["version"], following["kind"]) == (2, "ROLLED_BACK")


async def revisions(api: Api) -> list[int]:
    """The revisions at which the pointer moved."""
    async with connection(api.app) as socket:
        await subscribe(socket, 0)
        return [(await change(socket))["revision"] for _ in range(4)]


async def test_without_a_revision_the_current_version_is_sent_first(retail: Api) -> None:
    async with connection(retail.app) as socket:
        await subscribe(socket)
        first = await change(socket)
        assert (first["version"], first["kind"]) == (1, "ROLLED_BACK")
        await check_that_no_other_change_was_sent(socket, retail)


@pytest.mark.parametrize(("index", "expected"), [(0, [2, 3, 1]), (1, [3, 1]), (2, [1]), (3, [])])
async def test_after_a_revision_every_later_change_is_sent_once_and_in_order(
    retail: Api, index: int, expected: list[int]
) -> None:
    moves = await revisions(retail)
    async with connection(retail.app) as socket:
        await subscribe(socket, moves[index])
        assert [(await change(socket))["version"] for _ in expected] == expected
        await check_that_no_other_change_was_sent(socket, retail)


async def test_changes_that_follow_are_sent_too(retail: Api) -> None:
    moves = await revisions(retail)
    async with connection(retail.app) as socket:
        await subscribe(socket, moves[-1])
        await roll_back_to_2(retail)
        assert (await change(socket))["version"] == 2


async def test_far_behind_only_the_newest_change_is_sent(retail: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "MAX_MISSED_REVISIONS", 2)
    async with connection(retail.app) as socket:
        await subscribe(socket, 0)
        assert (await change(socket))["version"] == 1
        await check_that_no_other_change_was_sent(socket, retail)


@pytest.mark.parametrize("after", [-1, 1000])
async def test_a_revision_that_the_list_has_not_reached_is_refused(retail: Api, after: int) -> None:
    async with connection(retail.app) as socket:
        await subscribe(socket, after)
        [error] = (await socket.receive())["payload"]["errors"]
        assert (error["extensions"]["code"], error["path"]) == ("INVALID_ARGUMENT", ["published"])
        assert "Subscribe without `after`" in error["message"]
