"""One version per request: the pointer is read once, and later publishes do not affect the request."""

import asyncio
from collections.abc import Sequence

import pytest

from graph.identity.callers import Caller
from graph.identity.scopes import Grants
from loaders import Loaders, MinVersions
from loaders.prices import PriceLoader
from loaders.view import View
from storage import (
    ALL_LISTS,
    NO_LISTS,
    ListFilter,
    Preview,
    Price,
    PriceListNotFound,
    Snapshot,
    SnapshotNotFound,
    VersionNotReached,
)
from tests.graph.api import ANYBODY, Api, row
from tests.loaders.conftest import RoundTrips

READER = Caller("reader", Grants.parse(["prices:read"]))
WRITER = Caller("writer", Grants.parse(["batches:write:retail"]))

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


async def test_a_preview_shows_its_version_alone_and_makes_the_request_private(counted_api: Api) -> None:
    api = counted_api
    await api.create("retail")
    await api.publish("retail", [row("a")])
    for version in (2, 3):
        payload = await api.submit("retail", [row("a", f"{version}")], publish="ON_APPROVAL")
        assert payload["batch"]["version"] == version
    view = api.runtime.context(READER, preview=Preview(payload["batch"]["id"], "retail", 3)).loaders.view
    assert view.is_private
    assert (await view.version("retail", 3)).size == 1
    assert await view.find_version("retail", 2) is None
    assert not view.shows_unpublished("retail")
    assert [view.previews(*each) for each in (("retail", 3), ("retail", 2), ("other", 3))] == [True, False, False]


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


async def test_a_list_that_is_deleted_during_a_request_is_not_found(counted_api: Api) -> None:
    api = counted_api
    await api.create("retail")
    await api.publish("retail", [row("a", "1.00")])
    view = api.runtime.context(ANYBODY).loaders.view
    assert await view.find("retail") is not None
    store = api.runtime.store
    deleted = await store.deleter.delete("retail", by="ops", reason="test", force=True)
    await api.runtime.pointers.switch_to({"retail": deleted.revision})
    await store.deleter.purge("retail")
    with pytest.raises(PriceListNotFound):
        await view.current("retail")


async def test_a_request_reads_all_lists_as_they_were_when_it_first_read_one(counted_api: Api) -> None:
    api = counted_api
    await api.create("a", "b")
    for name in ("a", "b"):
        await api.publish(name, [row("x", "1.00")])
    view = api.runtime.context(ANYBODY).loaders.view
    assert view.known("a")
    for name in ("a", "b"):
        await api.publish(name, [row("x", "2.00")])
    found = [await view.current(name) for name in ("a", "b")]
    assert [snapshot and snapshot.version for snapshot in found] == [1, 1]
    await api.create("c")
    assert await view.find("c") is None, "it was created later"
    assert [(each.name, each.current_version) for each in await view.lists()] == [("a", 1), ("b", 1)]
    view = api.runtime.context(ANYBODY).loaders.view
    found = [await view.current(name) for name in ("a", "b", "c")]
    assert [snapshot and snapshot.version for snapshot in found] == [2, 2, None]


async def test_a_minimum_version_is_waited_for_unless_a_list_that_was_read_moved_meanwhile(counted_api: Api) -> None:
    api = counted_api
    await api.create("a", "b")
    for name in ("a", "b"):
        await api.publish(name, [row("x", "1.00")])
    views = [api.runtime.context(ANYBODY, MinVersions(by_list={"b": 2})).loaders.view for _ in range(2)]
    waiting = [asyncio.ensure_future(view.current("b")) for view in views]
    assert views[1].known("a")
    await asyncio.sleep(0)
    await api.publish("a", [row("x", "2.00")])
    await api.publish("b", [row("x", "2.00")])
    first, second = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(first, Snapshot)
    assert isinstance(second, VersionNotReached)
    assert (first.version, (await views[0].current("a") or first).version) == (2, 2)


async def test_while_pointers_are_not_pushed_a_request_reads_all_lists_at_one_moment(
    counted_api: Api, round_trips: RoundTrips
) -> None:
    api = counted_api
    await api.create("a", "b")
    for name in ("a", "b"):
        await api.publish(name, [row("x", "1.00")])
    api.runtime.pointers._watcher._opened.clear()
    view = api.runtime.context(ANYBODY).loaders.view
    assert view.known("a") is None
    with round_trips.counted() as counted:
        await asyncio.gather(view.find("a"), view.find("b"))
    assert [(verb, collection) for verb, collection, _ in counted].count(("find", "price_lists")) == 1
    assert view.revisions() == {"a": 2, "b": 2}


@pytest.fixture
async def held(counted_api: Api) -> Api:
    """A list with the versions 1, current, and 2, which waits for a review."""
    await counted_api.create("retail", "retail-2")
    await counted_api.publish("retail", [row("a", "1.00")])
    payload = await counted_api.submit("retail", [row("a", "2.00")], publish="ON_APPROVAL")
    assert payload["batch"]["version"] == 2
    return counted_api


def loaders(api: Api, works_on: ListFilter = NO_LISTS) -> Loaders:
    """The loaders of a request by a caller who works on these lists."""
    return Loaders(api.runtime.store, api.runtime.pointers, works_on=works_on)


@pytest.mark.parametrize("works_on", [NO_LISTS, ListFilter(names=frozenset({"retail-2"})), ListFilter(prefixes=("b",))])
async def test_a_view_hides_versions_that_were_never_current(held: Api, works_on: ListFilter) -> None:
    readers = loaders(held, works_on)
    view, pages = readers.view, readers.pages
    for version in (2, 3):
        with pytest.raises(SnapshotNotFound) as caught:
            await view.version("retail", version)
        assert caught.value.message == SnapshotNotFound("retail", version).message
        assert await view.find_version("retail", version) is None
    page = await pages.snapshots("retail", 1, None)
    assert ([each.version for each in page.records], page.has_next) == ([1], False)
    assert await pages.count_snapshots("retail") == 1
    assert view.is_private is False


@pytest.mark.parametrize("works_on", [ALL_LISTS, ListFilter(names=frozenset({"retail"})), ListFilter(prefixes=("re",))])
async def test_a_view_that_shows_a_version_that_was_never_current_is_private(held: Api, works_on: ListFilter) -> None:
    view = loaders(held, works_on).view
    assert (await view.version("retail", 1)).version == 1
    assert view.is_private is False
    assert (await view.version("retail", 2)).version == 2
    assert view.is_private is True
    found = loaders(held, works_on)
    assert await found.view.find_version("retail", 2) is not None
    assert found.view.is_private is True
    for read in (lambda pages: pages.snapshots("retail", 1, None), lambda pages: pages.count_snapshots("retail")):
        listed = loaders(held, works_on)
        await read(listed.pages)
        assert listed.view.is_private is True


async def test_a_hidden_version_costs_the_same_round_trips_as_a_missing_one(held: Api, round_trips: RoundTrips) -> None:
    sent = []
    for version in (2, 3):
        with round_trips.counted() as counted:
            assert await held.runtime.context(READER).loaders.view.find_version("retail", version) is None
        sent.append(counted)
    assert sent[0] == sent[1] == [("find", "snapshots", 1), ("find", "expired_snapshots", 1)]


async def test_a_current_version_is_never_hidden(held: Api) -> None:
    """A new primary may return the manifest of a version as it was before the version became current."""
    await held.runtime.store.db["snapshots"].update_one({"_id.version": 1}, {"$set": {"publishedAt": None}})
    view = loaders(held).view
    current = await view.current("retail")
    assert current is not None
    assert (current.version, view.is_private) == (1, False)


async def test_every_event_of_a_caller_sees_the_same_lists(held: Api) -> None:
    for caller, sees in ((WRITER, True), (READER, False)):
        context = held.runtime.context(caller)
        for _ in range(2):
            assert (await context.loaders.view.find_version("retail", 2) is not None) is sees
            context.renew()


async def test_every_event_of_a_subscription_is_read_by_its_preview_token(held: Api) -> None:
    context = held.runtime.context(READER, preview=Preview("batch", "retail", 2))
    for _ in range(2):
        assert await context.loaders.view.find_version("retail", 2) is not None
        context.renew()
