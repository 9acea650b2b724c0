"""One version a request: the pointer is read once, whatever is published while the request is answered."""

import asyncio
from collections.abc import Sequence

import pytest

from loaders.prices import PriceLoader
from loaders.view import View
from storage import Price, Snapshot
from tests.graph.api import ANYBODY, Api, row

OVERTAKEN = """{
  early: snapshot(priceList: "retail") { version price(sku: "a") { amount } prices { nodes { amount } } }
  late: snapshot(priceList: "retail") { version size price(sku: "a") { amount } prices { nodes { amount } } }
  list: priceList(name: "retail") { currentVersion current { version price(sku: "a") { amount } } }
}"""


async def test_a_request_sees_one_version_whatever_is_published_meanwhile(
    counted_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = counted_api
    await api.create("retail")
    await api.publish("retail", [row("a", "1.00")])
    started, overtaken = asyncio.Event(), asyncio.Event()
    load, current = PriceLoader.load_many, View.current
    asked = 0

    async def slow_load(loader: PriceLoader, snapshot: Snapshot, skus: Sequence[str]) -> list[Price | None]:
        started.set()
        await overtaken.wait()
        return await load(loader, snapshot, skus)

    async def current_but_the_second_late(view: View, name: str) -> Snapshot | None:
        nonlocal asked
        asked += 1
        if asked == 2:
            await overtaken.wait()
        return await current(view, name)

    def not_at_once(_: View, __: str) -> None:
        return None

    monkeypatch.setattr(PriceLoader, "load_many", slow_load)
    monkeypatch.setattr(View, "now", not_at_once)
    monkeypatch.setattr(View, "current", current_but_the_second_late)
    request = asyncio.create_task(api.data(OVERTAKEN))
    await started.wait()
    assert await api.publish("retail", [row("a", "2.00"), row("b", "2.00")]) == 2
    overtaken.set()
    one = {"version": 1, "price": {"amount": "1.00"}}
    page = {"prices": {"nodes": [{"amount": "1.00"}]}}
    assert await request == {
        "early": {**one, **page},
        "late": {**one, **page, "size": 1},
        "list": {"currentVersion": 1, "current": one},
    }
    assert await api.amounts("retail") == {"a": "2.00", "b": "2.00"}


async def test_a_mutation_lets_its_request_see_the_pointer_that_it_moved(counted_api: Api) -> None:
    api = counted_api
    await api.create("retail")
    context = api.runtime.context(ANYBODY)
    before = await context.loaders.view.find("retail")
    assert before is not None
    assert before.current_version is None
    await api.publish("retail", [row("a")])
    assert await context.loaders.view.find("retail") == before
    await context.refresh_pointer("retail")
    after = await context.loaders.view.find("retail")
    assert after is not None
    assert after.current_version == 1


async def test_a_view_tells_which_pointers_it_followed_and_as_long_as_which_what_it_read_is_true(
    counted_api: Api,
) -> None:
    api = counted_api
    await api.create("retail", "wholesale", "unread")
    for name in ("retail", "wholesale"):
        await api.publish(name, [row("a", "1.00")])
    view = api.runtime.context(ANYBODY).loaders.view
    assert (view.followed(), view.revisions()) == ({}, {})
    await view.version("wholesale", 1)
    seen = await view.find("retail")
    assert seen is not None
    await api.publish("retail", [row("a", "2.00")])
    snapshot = await view.current("retail")
    assert snapshot is not None
    assert snapshot.version == 1
    assert view.followed() == {"retail": seen}
    assert view.revisions() == {"retail": seen.revision, "wholesale": 2}


async def test_a_version_that_was_read_before_its_pointer_moved_is_true_no_longer_than_that(counted_api: Api) -> None:
    api = counted_api
    await api.create("retail")
    await api.publish("retail", [row("a", "1.00")])
    view = api.runtime.context(ANYBODY).loaders.view
    await view.version("retail", 1)
    await api.publish("retail", [row("a", "2.00")])
    await view.version("retail", 1)
    await view.current("retail")
    assert view.revisions() == {"retail": 2}


async def test_a_view_does_not_know_for_how_long_while_pointers_are_not_pushed(counted_api: Api) -> None:
    api = counted_api
    await api.create("retail")
    await api.publish("retail", [row("a", "1.00")])
    view = api.runtime.context(ANYBODY).loaders.view
    api.runtime.pointers._watcher._opened.clear()
    await view.current("retail")
    assert view.revisions() is None
