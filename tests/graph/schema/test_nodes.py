"""Objects by their global ids, at any position in a response."""

from typing import Any

import pytest

from tests.graph.api import Api, row

NODE = """query ($id: ID!) { node(id: $id) { __typename id
  ... on Price { sku amount priceList version history(first: 5) { version } }
  ... on Snapshot { version size price(sku: "a") { id amount } }
  ... on PriceList { name currentVersion }
  ... on Batch { priceList state } } }"""


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list `retail` whose sku `a` costs 1, 2 and 2 in versions 1 to 3."""
    await api.create("retail")
    for amount in ("1", "2", "2"):
        await api.publish("retail", [row("a", amount), row("b:1/%", "1")])
    return api


async def node(api: Api, id_: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (await api.data(NODE, id=id_))["node"]
    return found


async def test_the_id_of_a_price_names_its_version(retail: Api) -> None:
    document = """{ old: snapshot(priceList: "retail", version: 1) { price(sku: "a") { id priceList version } }
      new: snapshot(priceList: "retail") { price(sku: "a") { id priceList version } } }"""
    data = await retail.data(document)
    old, new = data["old"]["price"], data["new"]["price"]
    assert old["id"] != new["id"]
    assert (old["priceList"], old["version"]) == ("retail", 1)
    assert (new["priceList"], new["version"]) == ("retail", 3)
    assert await node(retail, old["id"]) == {
        "__typename": "Price",
        "id": old["id"],
        "sku": "a",
        "amount": "1",
        "priceList": "retail",
        "version": 1,
        "history": [{"version": 1}],
    }


POSITIONS = {
    "price": '{ s: snapshot(priceList: "retail", version: 2) { p: price(sku: "a") { id } } }',
    "pricesBySku": '{ s: snapshot(priceList: "retail", version: 2) { p: pricesBySku(skus: ["a"]) { id } } }',
    "nodes": '{ s: snapshot(priceList: "retail", version: 2) { p: prices(first: 1) { nodes { id } } } }',
    "edges": '{ s: snapshot(priceList: "retail", version: 2) { p: prices(first: 1) { edges { node { id } } } } }',
    "an order": '{ s: snapshot(priceList: "retail", version: 2) { p: prices(orderBy: AMOUNT_DESC) { nodes { id } } } }',
    "a filter": '{ s: snapshot(priceList: "retail", version: 2) { p: prices(filter: {skuPrefix: "a"}) '
    "{ nodes { id } } } }",
    "a diff": '{ l: priceList(name: "retail") { d: diff(from: 1, to: 2) { nodes { after { id } } } } }',
    "a diff backwards": '{ l: priceList(name: "retail") { d: diff(from: 2, to: 1) { nodes { before { id } } } } }',
    "a history": '{ s: snapshot(priceList: "retail") { p: price(sku: "a") { history(first: 1) { price { id } } } } }',
}


@pytest.mark.parametrize("position", POSITIONS)
async def test_a_price_has_the_same_id_at_any_position(retail: Api, position: str) -> None:
    value: Any = await retail.data(POSITIONS[position])
    while not isinstance(value, str):
        value = value[0] if isinstance(value, list) else next(iter(value.values()))
    assert value == "Price:retail:2:a"


async def test_a_snapshot_a_list_and_a_batch_are_nodes(retail: Api) -> None:
    document = '{ priceList(name: "retail") { id current { id batch { id } } } }'
    price_list = (await retail.data(document))["priceList"]
    snapshot, batch = price_list["current"], price_list["current"]["batch"]
    assert await node(retail, price_list["id"]) == {
        "__typename": "PriceList",
        "id": price_list["id"],
        "name": "retail",
        "currentVersion": 3,
    }
    assert await node(retail, snapshot["id"]) == {
        "__typename": "Snapshot",
        "id": snapshot["id"],
        "version": 3,
        "size": 2,
        "price": {"id": "Price:retail:3:a", "amount": "2"},
    }
    assert await node(retail, batch["id"]) == {
        "__typename": "Batch",
        "id": batch["id"],
        "priceList": "retail",
        "state": "PUBLISHED",
    }


async def test_a_sku_may_have_any_characters_of_an_id(retail: Api) -> None:
    found = await node(retail, "Price:retail:1:b:1/%")
    assert found is not None
    assert found["sku"] == "b:1/%"


MISSING = ["Price:retail:1:z", "Price:none:1:a", "Snapshot:retail:9", "Snapshot:none:1", "PriceList:none", "f00", ""]


@pytest.mark.parametrize("id_", MISSING)
async def test_a_node_that_does_not_exist_is_null(retail: Api, id_: str) -> None:
    assert await node(retail, id_) is None


async def test_a_malformed_id_is_an_error(retail: Api) -> None:
    assert await retail.error_codes(NODE, id="Price:retail:x:a") == ["INVALID_ARGUMENT"]
