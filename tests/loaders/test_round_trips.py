"""Loaders batch by key: each kind of record costs one round trip per request, at any depth.

These tests run without a block cache; pointers, the manifest of the current version and the directories of layers are
always in memory.
"""

import pytest

from tests.graph.api import Api, row
from tests.loaders.conftest import RoundTrips

N = 50

BLOCKS = 2
"""Blocks of N prices: the numbers as skus always give the same."""


@pytest.fixture
async def api(counted_api: Api) -> Api:
    """A list `retail` with two versions of N prices."""
    await counted_api.create("retail")
    for amount in ("1.00", "2.00"):
        await counted_api.publish("retail", [row(f"{i}", amount) for i in range(N)])
    return counted_api


def aliases(field: str, prefix: str = "a", count: int = N) -> str:
    """Return aliases of a field, with `%d` in it replaced by the number of the alias."""
    return " ".join(f"{prefix}{i}: {field.replace('%d', str(i))}" for i in range(count))


async def test_many_prices_cost_one_round_trip(api: Api, round_trips: RoundTrips) -> None:
    document = '{ snapshot(priceList: "retail") { ' + aliases('price(sku: "%d") { amount }') + " } }"
    with round_trips.counted() as sent:
        data = await api.data(document)
    assert [price["amount"] for price in data["snapshot"].values()] == ["2.00"] * N
    assert sent == [("find", "layer", BLOCKS)]


async def test_prices_by_sku_cost_one_round_trip(api: Api, round_trips: RoundTrips) -> None:
    document = 'query ($skus: [ID!]!) { snapshot(priceList: "retail") { pricesBySku(skus: $skus) { sku } } }'
    skus = [str(i) for i in range(N)]
    with round_trips.counted() as sent:
        data = await api.data(document, skus=[*skus, *skus])
    assert [price["sku"] for price in data["snapshot"]["pricesBySku"]] == [*skus, *skus]
    assert sent == [("find", "layer", BLOCKS)]


async def test_all_prices_of_a_request_are_loaded_together(api: Api, round_trips: RoundTrips) -> None:
    document = """{
      x: snapshot(priceList: "retail") { price(sku: "1") { amount } }
      y: snapshot(priceList: "retail") { pricesBySku(skus: ["1", "2", "none"]) { amount } }
      z: snapshot(priceList: "retail", version: 2) { price(sku: "3") { amount } }
    }"""
    with round_trips.counted() as sent:
        await api.data(document)
    assert sent == [("find", "layer", BLOCKS)]


async def test_each_version_costs_one_round_trip(api: Api, round_trips: RoundTrips) -> None:
    old = aliases('snapshot(priceList: "retail", version: 1) { price(sku: "%d") { amount } }', "old", 40)
    new = aliases('snapshot(priceList: "retail", version: 2) { price(sku: "%d") { amount } }', "new", 40)
    with round_trips.counted() as sent:
        data = await api.data("{ " + old + new + " }")
    assert [snapshot["price"]["amount"] for snapshot in data.values()] == ["1.00"] * 40 + ["2.00"] * 40
    assert sorted(sent) == [("find", "layer", BLOCKS), ("find", "layer", BLOCKS), ("find", "snapshots", 1)]


async def test_many_batches_cost_one_round_trip(api: Api, round_trips: RoundTrips) -> None:
    batch = (await api.data('{ snapshot(priceList: "retail") { batch { id } } }'))["snapshot"]["batch"]["id"]
    document = '{ known: batch(id: "%s") { state } %s }' % (batch, aliases('batch(id: "%d") { state }'))  # noqa: UP031
    with round_trips.counted() as sent:
        data = await api.data(document)
    assert data.pop("known") == {"state": "PUBLISHED"}
    assert set(data.values()) == {None}
    assert sent == [("find", "batches", N + 1)]


async def test_the_batches_of_a_page_cost_one_round_trip(api: Api, round_trips: RoundTrips) -> None:
    document = (
        '{ priceList(name: "retail") { snapshots { nodes { batch { id } } } events { nodes { batch { id } } } } }'
    )
    with round_trips.counted() as sent:
        await api.data(document)
    assert [found for found in sent if found[1] == "batches"] == [("find", "batches", 2)]


async def test_the_pointer_is_not_read_while_it_is_pushed(api: Api, round_trips: RoundTrips) -> None:
    document = "{ " + aliases('priceList(name: "retail") { currentVersion }') + " }"
    with round_trips.counted() as sent:
        await api.data(document)
    assert sent == []


async def test_the_pointers_are_read_once_per_request_while_they_are_not_pushed(
    api: Api, round_trips: RoundTrips
) -> None:
    await api.runtime.pointers.stop()
    document = '{ priceList(name: "retail") { name } ' + aliases('snapshot(priceList: "retail") { version }') + " }"
    with round_trips.counted() as sent:
        await api.data(document)
    assert [(verb, collection) for verb, collection, _ in sent] == [("find", "price_lists"), ("commitTransaction", "1")]


async def test_loaders_are_not_shared_between_requests(api: Api, round_trips: RoundTrips) -> None:
    document = '{ snapshot(priceList: "retail") { price(sku: "1") { amount } batch { id } } }'
    with round_trips.counted() as first:
        await api.data(document)
    with round_trips.counted() as second:
        await api.data(document)
    assert sorted(first) == sorted(second) == [("find", "batches", 1), ("find", "layer", 1)]


async def test_the_lines_of_all_quotes_cost_one_round_trip(api: Api, round_trips: RoundTrips) -> None:
    document = """{ snapshot(priceList: "retail") {
      one: quote(lines: [{sku: "1", quantity: 1}, {sku: "2", quantity: 2}, {sku: "1", quantity: 5}]) { total }
      two: quote(lines: [{sku: "2", quantity: 1}, {sku: "none", quantity: 2}]) { total } price(sku: "1") { amount }
    } }"""
    with round_trips.counted() as sent:
        await api.data(document)
    assert sent == [("find", "layer", BLOCKS)]


async def test_the_histories_of_a_page_cost_one_round_trip_for_each_layer(api: Api, round_trips: RoundTrips) -> None:
    document = '{ snapshot(priceList: "retail") { prices { nodes { history { version } } } } }'
    with round_trips.counted() as sent:
        data = await api.data(document)
    histories = [price["history"] for price in data["snapshot"]["prices"]["nodes"]]
    assert histories == [[{"version": 2}, {"version": 1}]] * N
    versions, blocks = ("find", "snapshots", 0), ("find", "layer", BLOCKS)
    assert sent == [blocks, versions, blocks, blocks]


async def test_a_page_of_a_selection_costs_one_round_trip(api: Api, round_trips: RoundTrips) -> None:
    document = """{ snapshot(priceList: "retail") {
      prices(first: 5, filter: {currency: "EUR"}, orderBy: AMOUNT_DESC) { nodes { sku } }
    } }"""
    with round_trips.counted() as sent:
        await api.data(document)
    assert sent == [("find", "layer", BLOCKS)]


async def test_a_page_of_a_prefix_costs_one_round_trip(api: Api, round_trips: RoundTrips) -> None:
    document = '{ snapshot(priceList: "retail") { prices(filter: {skuPrefix: "1"}) { nodes { sku } } } }'
    with round_trips.counted() as sent:
        data = await api.data(document)
    assert len(data["snapshot"]["prices"]["nodes"]) == 11
    assert sent == [("find", "layer", 1)]
