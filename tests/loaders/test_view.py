"""One version per request: the pointer is read once, and later publishes do not affect the request."""

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


async def test_a_request_sees_one_version_during_a_publish(counted_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api = counted_api
    await api.create("retail")
    await api.publish("retail", [row("a", "1.00")])
    started, overtaken = asyncio.Event(), asyncio.Event()
    load, current = PriceLoader.load_many, View.current
    calls = 0

    async def slow_load(loader: PriceLoader, snapshot: Snapshot, skus: Sequence[str]) -> list[Price | None]:
        started.set()
        await overtaken.wait()
        return await load(loader, snapshot, skus)

    async def second_call_is_slow(view: View, name: str) -> Snapshot | None:
        nonlocal calls
        calls += 1
        if calls == 2:
            await overtaken.wait()
        return await current(view, name)

    def not_known(_: View, __: str) -> None:
        return None

    monkeypatch.setattr(PriceLoader, "load_many", slow_load)
    monkeypatch.setattr(View, "known_current", not_known)
    monkeypatch.setattr(View, "current", second_call_is_slow)
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


async def test_a_request_sees_the_pointer_that_its_mutation_moved(counted_api: Api) -> None:
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


async def test_a_view_reports_the_followed_pointers_and_the_revisions_it_is_valid_at(
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


async def test_the_revision_at_the_first_read_of_a_version_counts(counted_api: Api) -> None:
    api = counted_api
    await api.create("retail")
    await api.publish("retail", [row("a", "1.00")])
    view = api.runtime.context(ANYBODY).loaders.view
    await view.version("retail", 1)
    await api.publish("retail", [row("a", "2.00")])
    await view.version("retail", 1)
    await view.current("retail")
    assert view.revisions() == {"retail": 2}


async def test_a_view_has_no_revisions_while_pointers_are_not_pushed(counted_api: Api) -> None:
    api = counted_api
    await api.create("retail")
    await api.publish("retail", [row("a", "1.00")])
    view = api.runtime.context(ANYBODY).loaders.view
    api.runtime.pointers._watcher._opened.clear()
    await view.current("retail")
    assert view.revisions() is None
