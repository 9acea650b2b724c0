"""Reads of a warm process: cached prices are served without a round trip and without suspending."""

import asyncio
import inspect
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cli.exports.exporter import Exporter
from loaders import Window
from storage import DEFAULT_CACHE_BYTES, MISSING, Snapshot, Store
from tests.databases import Databases, databases_on
from tests.graph.api import ANYBODY, Api, row
from tests.loaders.conftest import RoundTrips, counting
from tests.loaders.publishing import compact, merge, replace, whole
from tests.stack.replica_set import BreakableReplicaSet
from tests.waiting import until

SKUS = [f"sku-{number:03}" for number in range(300)]

EVERYTHING = """query ($skus: [ID!]!) {
  snapshot(priceList: "retail") {
    version size label
    price(sku: "sku-007") { amount }
    none: price(sku: "none") { amount }
    pricesBySku(skus: $skus) { sku amount }
    prices(first: 100) { totalCount nodes { sku } pageInfo { endCursor hasNextPage } }
    last: prices(last: 10) { nodes { sku } pageInfo { startCursor hasPreviousPage } }
  }
}"""


SELECTIONS = """{ snapshot(priceList: "retail") {
  a: prices(first: 1, filter: {currency: "EUR"}) { totalCount nodes { amount } }
  b: prices(first: 1, orderBy: AMOUNT_DESC) { totalCount nodes { amount } }
  c: prices(first: 1, filter: {skuPrefix: "sku"}) { totalCount nodes { amount } }
} }"""


@pytest.fixture
async def api(cached_api: Api) -> Api:
    """A list `retail` with two published versions, of which nothing was read."""
    await cached_api.create("retail")
    for amount in ("1.00", "2.00"):
        await cached_api.publish("retail", [row(sku, amount) for sku in SKUS])
    return cached_api


async def test_a_small_list_is_cached_whole_after_its_first_read(api: Api, round_trips: RoundTrips) -> None:
    before = await api.data(EVERYTHING, skus=SKUS[::-1])
    await whole(api)
    with round_trips.counted() as sent:
        after = await api.data(EVERYTHING, skus=SKUS[::-1])
    assert sent == []
    assert before == after
    snapshot = after["snapshot"]
    assert (snapshot["version"], snapshot["size"], snapshot["price"], snapshot["none"]) == (
        2,
        300,
        {"amount": "2.00"},
        None,
    )
    assert [price["sku"] for price in snapshot["pricesBySku"]] == SKUS[::-1]
    assert [price["sku"] for price in snapshot["prices"]["nodes"]] == SKUS[:100]
    assert [price["sku"] for price in snapshot["last"]["nodes"]] == SKUS[-10:]


async def test_paging_through_a_whole_list_sends_no_commands(api: Api, round_trips: RoundTrips) -> None:
    await api.data(EVERYTHING, skus=[])
    await whole(api)
    walk = """query ($after: String) { snapshot(priceList: "retail") {
        prices(first: 70, after: $after) { nodes { sku } pageInfo { endCursor hasNextPage } } } }"""
    seen: list[str] = []
    after: str | None = None
    with round_trips.counted() as sent:
        while True:
            page = (await api.data(walk, after=after))["snapshot"]["prices"]
            seen += [price["sku"] for price in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
    assert seen == SKUS
    assert sent == []


async def test_prices_of_an_old_version_and_their_absence_are_cached(api: Api, round_trips: RoundTrips) -> None:
    document = """{ snapshot(priceList: "retail", version: 1) {
      price(sku: "sku-001") { amount } none: price(sku: "x") { sku }
    } }"""
    first = await api.data(document)
    with round_trips.counted() as sent:
        assert await api.data(document) == first
    assert first == {"snapshot": {"price": {"amount": "1.00"}, "none": None}}
    assert sent == [("find", "snapshots", 1)], "only the manifest is read, in case the version expired"


async def test_the_manifest_of_the_current_version_is_read_once(cached_api: Api, round_trips: RoundTrips) -> None:
    api = cached_api
    await api.create("retail")
    await api.publish("retail", [row("a")])
    await api.runtime.store.pointer_moves.pin("retail", 1, by="ops", reason="x")
    await until(lambda: _has_reached(api, 3), "pushed")
    with round_trips.counted() as sent:
        for _ in range(3):
            assert (await api.data('{ snapshot(priceList: "retail") { version } }'))["snapshot"] == {"version": 1}
    assert sent == [], "a pin does not change the version"


async def _has_reached(api: Api, revision: int) -> bool:
    return api.runtime.pointers.revisions()["retail"] >= revision


async def test_cached_prices_are_returned_without_a_task_or_suspension(api: Api) -> None:
    await api.data(EVERYTHING, skus=[])
    await whole(api)
    tasks = len(asyncio.all_tasks())
    loaders = api.runtime.context(ANYBODY).loaders
    snapshot = loaders.view.known_current("retail")
    assert snapshot is not None
    assert snapshot.version == 2
    price = loaders.prices.cached(snapshot, SKUS[0])
    assert price is not MISSING
    assert price is not None
    assert loaders.prices.cached_many(snapshot, [*SKUS, "none"]) == [
        *(loaders.prices.cached(snapshot, sku) for sku in SKUS),
        None,
    ]
    page = loaders.pages.cached_prices(snapshot, Window(3))
    assert page is not None
    assert [record.sku for record in page.records] == SKUS[:3]
    assert len(asyncio.all_tasks()) == tasks
    for coroutine in (loaders.view.current("retail"), loaders.view.find("retail"), loaders.prices.load(snapshot, "a")):
        with pytest.raises(StopIteration):
            coroutine.send(None)  # runs to its end without suspending
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


async def test_hits_and_misses_are_counted(api: Api) -> None:
    cache = api.runtime.store.block_cache
    document = 'query ($sku: ID!) { snapshot(priceList: "retail", version: 1) { price(sku: $sku) { sku } } }'
    cache.drop((await stored(api, 1)).layer_ids[0])
    hits, misses = cache.hits, cache.misses
    await api.data(document, sku=SKUS[0])
    assert (cache.hits, cache.misses) == (hits, misses + 1)
    await api.data(document, sku=SKUS[1])
    assert (cache.hits, cache.misses) == (hits + 1, misses + 1)


async def stored(api: Api, version: int) -> Snapshot:
    snapshot = await api.runtime.store.snapshots.get("retail", version)
    assert snapshot is not None
    return snapshot


async def test_an_expired_version_is_not_served_from_memory(api: Api) -> None:
    document = '{ snapshot(priceList: "retail", version: 1) { price(sku: "sku-001") { amount } } }'
    await api.data(document)
    await api.runtime.store.db["snapshots"].update_one({"_id.version": 1}, {"$set": {"state": "RETIRED"}})
    assert await api.error_codes(document) == ["SNAPSHOT_EXPIRED"]


async def merged(api: Api, store: Store) -> None:
    """Publish a version with four layers in another process, and read only its number."""
    await api.create("retail")
    await replace(store, "retail", dict.fromkeys(SKUS, "2.00"))
    for number in range(3):
        await merge(store, "retail", {f"sku-{number:03}": f"{number}.50"})
    await until(lambda: _has_reached(api, 5), "pushed")
    assert (await api.data('{ snapshot(priceList: "retail") { version } }'))["snapshot"] == {"version": 4}


@pytest.fixture(scope="module")
def mongodb_uri(own_replica_set: BreakableReplicaSet) -> str:
    """The URI of a replica set that has secondaries."""
    return own_replica_set.uri


@pytest.fixture(scope="module")
async def databases(mongodb_uri: str) -> AsyncIterator[Databases]:
    async with databases_on(mongodb_uri) as databases:
        yield databases


@pytest.fixture(params=["cached", "uncached", "secondaries"])
async def stale(
    request: pytest.FixtureRequest, mongodb_uri: str, store: Store, round_trips: RoundTrips
) -> AsyncIterator[Api]:
    """A process that holds the manifest of a current version, of which it read nothing, and which was compacted."""
    cache_bytes, secondaries = 0 if request.param == "uncached" else DEFAULT_CACHE_BYTES, request.param == "secondaries"
    async with counting(mongodb_uri, store.db.name, round_trips, cache_bytes, secondaries=secondaries) as api:
        await merged(api, store)
        await compact(store, "retail", 4)
        yield api


async def test_prices_are_read_from_the_layers_that_a_compaction_wrote(stale: Api) -> None:
    found = await stale.data(EVERYTHING, skus=SKUS[:4])
    assert [price["amount"] for price in found["snapshot"]["pricesBySku"]] == ["0.50", "1.50", "2.50", "2.00"]
    assert found["snapshot"]["price"] == {"amount": "2.00"}


async def test_a_page_is_read_from_the_layers_that_a_compaction_wrote(stale: Api, round_trips: RoundTrips) -> None:
    document = '{ snapshot(priceList: "retail") { prices(first: 4) { nodes { amount } } } }'
    found = await stale.data(document)
    assert [price["amount"] for price in found["snapshot"]["prices"]["nodes"]] == ["0.50", "1.50", "2.50", "2.00"]
    with round_trips.counted() as sent:
        assert await stale.data(document) == found
    assert not [command for command in sent if command[1] == "snapshots"], "the new manifest is kept"


async def test_a_quote_is_computed_from_the_layers_that_a_compaction_wrote(stale: Api) -> None:
    document = """{ snapshot(priceList: "retail") {
      quote(lines: [{sku: "sku-001", quantity: 2}, {sku: "sku-009", quantity: 1}]) { lines { amount } } } }"""
    quote = (await stale.data(document))["snapshot"]["quote"]
    assert [line["amount"] for line in quote["lines"]] == ["3.00", "2.00"]


async def test_an_export_is_read_from_the_layers_that_a_compaction_wrote(stale: Api) -> None:
    out = io.BytesIO()

    async def execute(document: str, variables: dict[str, Any]) -> dict[str, Any]:
        return await stale.data(document, **variables)

    await Exporter(execute, "retail", None, lambda _rows, _total: None).ndjson(out)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [each["amount"] for each in found] == ["0.50", "1.50", "2.50", *["2.00"] * 297]


async def test_a_history_is_read_again_if_a_compaction_replaces_layers_meanwhile(
    counted_api: Api, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await merged(counted_api, store)
    snapshots = counted_api.runtime.store.snapshots
    original, compacted = snapshots.published, list[int]()

    async def then_compact(*args: Any) -> list[Snapshot]:
        found = await original(*args)
        if not compacted:
            compacted.append(4)
            await compact(store, "retail", 4)
        return found

    monkeypatch.setattr(snapshots, "published", then_compact)
    document = '{ snapshot(priceList: "retail") { price(sku: "sku-002") { history { version price { amount } } } } }'
    history = (await counted_api.data(document))["snapshot"]["price"]["history"]
    assert compacted
    assert [(each["version"], each["price"]["amount"]) for each in history] == [(4, "2.50"), (1, "2.00")]


async def test_selections_are_read_from_the_layers_that_a_compaction_wrote(stale: Api) -> None:
    selected = await stale.data(SELECTIONS)
    assert {name: page["totalCount"] for name, page in selected["snapshot"].items()} == dict.fromkeys("abc", 300)
    assert selected["snapshot"]["a"]["nodes"] == selected["snapshot"]["c"]["nodes"] == [{"amount": "0.50"}]
    assert selected["snapshot"]["b"]["nodes"] == [{"amount": "2.50"}]


async def test_a_diff_is_read_from_the_layers_that_a_compaction_wrote(stale: Api) -> None:
    document = """{ priceList(name: "retail") { diff(from: 3, to: 4) {
      summary { changed unchanged } nodes { sku } } } }"""
    assert (await stale.data(document))["priceList"]["diff"] == {
        "summary": {"changed": 1, "unchanged": 299},
        "nodes": [{"sku": SKUS[2]}],
    }


async def test_a_new_version_is_warmed_from_the_layers_that_a_compaction_wrote(stale: Api, store: Store) -> None:
    await merge(store, "retail", {SKUS[0]: "9.00"})
    await until(lambda: _has_reached(stale, 6), "pushed")
    found = await stale.data(EVERYTHING, skus=SKUS[:4])
    assert [price["amount"] for price in found["snapshot"]["pricesBySku"]] == ["9.00", "1.50", "2.50", "2.00"]


async def test_a_missing_layer_of_a_version_that_expired_is_an_expired_version(stale: Api, store: Store) -> None:
    await store.db["snapshots"].update_one({"_id.version": 4}, {"$set": {"state": "RETIRED"}})
    await store.layer_writer.drop((await stored(stale, 4)).layer_ids[0])
    assert set(await stale.error_codes(EVERYTHING, skus=SKUS[:4])) == {"SNAPSHOT_EXPIRED"}


async def test_a_missing_layer_of_a_version_that_is_kept_is_corrupt(stale: Api, store: Store) -> None:
    await store.layer_writer.drop((await stored(stale, 4)).layer_ids[0])
    for document in (EVERYTHING, SELECTIONS):
        assert set(await stale.error_codes(document, skus=SKUS[:4])) == {"CORRUPT"}


async def test_a_price_beyond_the_length_of_a_sku_is_not_looked_up(api: Api, round_trips: RoundTrips) -> None:
    snapshot = await stored(api, 1)
    api.runtime.store.block_cache.drop(snapshot.layer_ids[0])
    with round_trips.counted() as sent:
        assert await api.runtime.context(ANYBODY).loaders.prices.load_many(snapshot, ["x" * 10_000]) == [None]
    assert sent == []
