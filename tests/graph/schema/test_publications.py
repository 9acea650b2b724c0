"""`publications`: the changes of all lists that a caller may read, the newest of each for a client that is slow."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from graphql import ExecutionResult

from graph.documents.document import Documents
from graph.identity.callers import Caller
from graph.identity.scopes import Grants
from graph.schema.build import build_schema
from loaders import PointerCache
from tests.graph.api import ROLLBACK, Api, open_settings, row, serving
from tests.graph.sockets import connection
from tests.waiting import DEADLINE_SECONDS

PUBLICATIONS = "subscription { publications { priceList version previousVersion kind summary { added } } }"
DELETE = """mutation { deletePriceList(input: {name: "eu-b2b", confirmName: "eu-b2b", reason: "x", force: true}) {
  deletedId } }"""

OPERATION = Documents(build_schema()._schema).get(PUBLICATIONS).operation(None)


@pytest.fixture
async def lists(api: Api) -> Api:
    """An application with the lists `eu-b2b` and `us`, each with a version."""
    await api.create("eu-b2b", "us")
    for name in ("eu-b2b", "us"):
        await api.publish(name, [row("a")])
    return api


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> asyncio.Semaphore:
    """Released each time that a subscription begins to wait for a change."""
    semaphore, wait = asyncio.Semaphore(0), PointerCache.wait_for_change

    async def released(self: PointerCache, seen: Any) -> Any:
        semaphore.release()
        return await wait(self, seen)

    monkeypatch.setattr(PointerCache, "wait_for_change", released)
    return semaphore


class Subscriber:
    """A client that takes a change when the test asks for one."""

    def __init__(self, results: AsyncGenerator[ExecutionResult, None]) -> None:
        self._results = results
        self.take()

    async def change(self) -> tuple[str, int]:
        """Return the next change, and do not take another one yet."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            result = await self._next
        assert result.data is not None, result.errors
        published: dict[str, Any] = result.data["publications"]
        return published["priceList"], published["version"]

    def take(self) -> None:
        """Be ready for the next change."""
        self._next = asyncio.ensure_future(anext(self._results))

    async def next_change(self) -> tuple[str, int]:
        self.take()
        return await self.change()

    async def stop(self) -> None:
        self._next.cancel()
        await asyncio.wait([self._next])


@asynccontextmanager
async def subscribed(api: Api, waiting: asyncio.Semaphore, grants: Sequence[str]) -> AsyncIterator[Subscriber]:
    context = api.runtime.context(Caller("ada", Grants.parse(grants)))
    assert OPERATION is not None
    coerced = OPERATION.executable.coerce({})
    assert not isinstance(coerced, list)
    async with aclosing(OPERATION.executable.subscribe(coerced, context)) as results:
        subscriber = Subscriber(results)
        try:
            await waiting.acquire()
            yield subscriber
        finally:
            await subscriber.stop()


async def test_every_change_of_any_list_is_sent(lists: Api, waiting: asyncio.Semaphore) -> None:
    async with connection(lists.app) as socket:
        await socket.init()
        socket.send(id="1", type="subscribe", payload={"query": PUBLICATIONS})
        await waiting.acquire()
        await lists.publish("us", [row("a"), row("b")])
        change = (await socket.receive())["payload"]["data"]["publications"]
        assert change == {
            "priceList": "us",
            "version": 2,
            "previousVersion": 1,
            "kind": "PUBLISHED",
            "summary": {"added": 1},
        }
        await lists.submit("us", [row("c")], publish="ON_APPROVAL")
        await lists.create("later")
        await lists.publish("later", [row("a")])
        change = (await socket.receive())["payload"]["data"]["publications"]
        assert (change["priceList"], change["version"], change["previousVersion"]) == ("later", 1, None)
        await lists.data(ROLLBACK, input={"priceList": "us", "toVersion": 1, "reason": "wrong"})
        change = (await socket.receive())["payload"]["data"]["publications"]
        assert (change["priceList"], change["version"], change["kind"]) == ("us", 1, "ROLLED_BACK")


async def test_a_slow_client_receives_the_newest_change_of_each_list(lists: Api, waiting: asyncio.Semaphore) -> None:
    async with subscribed(lists, waiting, ["prices:read"]) as subscriber:
        await lists.publish("us", [row("a", "2")])
        assert await subscriber.change() == ("us", 2)
        for amount in ("3", "4"):
            await lists.publish("eu-b2b", [row("a", amount)])
            await lists.publish("us", [row("a", amount)])
        assert await subscriber.next_change() == ("eu-b2b", 3)
        await lists.publish("us", [row("a", "5")])
        assert await subscriber.next_change() == ("us", 5)
        subscriber.take()
        await lists.publish("eu-b2b", [row("a", "6")])
        assert await subscriber.change() == ("eu-b2b", 4)


async def test_a_list_out_of_scope_never_shows(lists: Api, waiting: asyncio.Semaphore) -> None:
    async with subscribed(lists, waiting, ["prices:read:eu-*", "batches:write:eu-b2b"]) as subscriber:
        await lists.create("eu-later")
        for name in ("us", "eu-later", "us", "eu-b2b"):
            await lists.publish(name, [row("a", "2")])
        assert await subscriber.change() == ("eu-later", 1)
        assert await subscriber.next_change() == ("eu-b2b", 2)


async def test_a_deleted_list_sends_nothing_and_ends_nothing(lists: Api, waiting: asyncio.Semaphore) -> None:
    async with subscribed(lists, waiting, ["prices:read"]) as subscriber:
        assert (await lists.data(DELETE))["deletePriceList"]["deletedId"]
        await lists.publish("us", [row("a", "2")])
        assert await subscriber.change() == ("us", 2)


async def test_changes_that_another_process_made_are_sent(
    lists: Api, waiting: asyncio.Semaphore, mongodb_uri: str
) -> None:
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=lists.runtime.store.db.name)
    async with serving(settings) as other, subscribed(lists, waiting, ["prices:read"]) as subscriber:
        await other.publish("eu-b2b", [row("a", "2")])
        assert await subscriber.change() == ("eu-b2b", 2)


async def test_draining_ends_it_without_completing_it(lists: Api, waiting: asyncio.Semaphore) -> None:
    async with connection(lists.app) as socket:
        await socket.init()
        socket.send(id="1", type="subscribe", payload={"query": PUBLICATIONS})
        await waiting.acquire()
        lists.runtime.drain.begin()
        await lists.publish("us", [row("a", "2")])
        assert (await socket.receive())["payload"]["data"]["publications"]["version"] == 2
        lists.runtime.drain.end_subscriptions()
        assert await socket.closed() == 1012
