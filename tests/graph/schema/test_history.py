"""The history of a price, at any position in a response."""

from typing import Any

import pytest

from tests.graph.api import Api, row

HISTORY = "history(first: 5) { version publishedAt price { amount } }"


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list `retail` whose sku `a` costs 1, 1, 2, nothing, 3 in versions 1 to 5; `b` costs 1 in all of them."""
    await api.create("retail")
    for amount in ("1", "1", "2", None, "3"):
        await api.publish("retail", [row("b", "1"), *([row("a", amount)] if amount else [])])
    return api


def amounts(history: list[dict[str, Any]]) -> list[tuple[int, str | None]]:
    return [(change["version"], change["price"] and change["price"]["amount"]) for change in history]


HISTORY_OF_A = [(5, "3"), (4, None), (3, "2"), (1, "1")]


async def test_a_history_has_one_entry_for_each_change_newest_first(retail: Api) -> None:
    prices = f'a: price(sku: "a") {{ {HISTORY} }} b: price(sku: "b") {{ {HISTORY} }}'
    data = await retail.data(f'{{ snapshot(priceList: "retail") {{ {prices} }} }}')
    assert amounts(data["snapshot"]["a"]["history"]) == HISTORY_OF_A
    assert amounts(data["snapshot"]["b"]["history"]) == [(1, "1")]
    published = (await retail.data('{ snapshot(priceList: "retail", version: 3) { publishedAt } }'))["snapshot"]
    assert data["snapshot"]["a"]["history"][2]["publishedAt"] == published["publishedAt"]


async def test_a_version_has_the_history_of_a_sku_that_it_does_not_have(retail: Api) -> None:
    document = """query ($v: Int, $sku: ID!, $n: Int) { snapshot(priceList: "retail", version: $v) {
      history(sku: $sku, first: $n) { version publishedAt price { amount } } } }"""

    async def history(version: int, sku: str = "a", first: int = 10) -> list[tuple[int, str | None]]:
        return amounts((await retail.data(document, v=version, sku=sku, n=first))["snapshot"]["history"])

    assert await history(4) == HISTORY_OF_A[1:]
    assert await history(4, first=1) == [(4, None)]
    assert await history(5) == HISTORY_OF_A
    assert await history(5, "nothing") == []
    assert await retail.error_codes(document, v=4, sku="a", n=0) == ["INVALID_ARGUMENT"]


async def test_a_history_is_limited_to_the_requested_number_of_changes(retail: Api) -> None:
    document = """query ($n: Int) { snapshot(priceList: "retail") { price(sku: "a") {
      n: history(first: $n) { version } default: history { version } one: history(first: 1) { version } } } }"""
    price = (await retail.data(document, n=2))["snapshot"]["price"]
    assert {name: [change["version"] for change in price[name]] for name in price} == {
        "n": [5, 4],
        "default": [5, 4, 3, 1],
        "one": [5],
    }
    for number, code in ((0, "INVALID_ARGUMENT"), (-1, "INVALID_ARGUMENT"), (1001, "PAGE_TOO_LARGE")):
        assert await retail.error_codes(document, n=number) == [code]


POSITIONS = {
    "price": '{ s: snapshot(priceList: "retail", version: 3) { p: price(sku: "a") { HISTORY } } }',
    "pricesBySku": '{ s: snapshot(priceList: "retail", version: 3) { p: pricesBySku(skus: ["a", "b"]) { HISTORY } } }',
    "nodes": '{ s: snapshot(priceList: "retail", version: 3) { p: prices { nodes { HISTORY } } } }',
    "edges": '{ s: snapshot(priceList: "retail", version: 3) { p: prices { edges { node { HISTORY } } } } }',
    "an order": """{ s: snapshot(priceList: "retail", version: 3) {
      p: prices(orderBy: AMOUNT_DESC) { nodes { HISTORY } } } }""",
    "a fragment": """{ ...F } fragment F on Query { s: snapshot(priceList: "retail", version: 3) {
      ... on Snapshot { p: prices { nodes { ...H } } } } } fragment H on Price { HISTORY }""",
    "a list's versions": """{ s: priceList(name: "retail") { snapshots(first: 1, after: "AFTER") { nodes {
      p: prices(first: 1) { nodes { HISTORY } } } } } }""",
}


def first_history(value: Any) -> list[dict[str, Any]]:
    while "history" not in value:
        value = value[0] if isinstance(value, list) else next(iter(value.values()))
    history: list[dict[str, Any]] = value["history"]
    return history


@pytest.mark.parametrize("position", POSITIONS)
async def test_a_price_has_the_history_of_its_version_at_any_position(retail: Api, position: str) -> None:
    document = POSITIONS[position].replace("HISTORY", HISTORY)
    if "AFTER" in document:
        versions = await retail.data('{ priceList(name: "retail") { snapshots(first: 2) { pageInfo { endCursor } } } }')
        document = document.replace("AFTER", versions["priceList"]["snapshots"]["pageInfo"]["endCursor"])
    assert amounts(first_history(await retail.data(document))) == [(3, "2"), (1, "1")]


async def test_versions_in_one_request_have_separate_histories(retail: Api) -> None:
    document = (
        "{ "
        + " ".join(
            f'v{n}: snapshot(priceList: "retail", version: {n}) {{ price(sku: "a") {{ {HISTORY} }} }}'
            for n in (1, 2, 3, 5)
        )
        + " }"
    )
    data = await retail.data(document)
    assert {name: amounts(snapshot["price"]["history"]) for name, snapshot in data.items()} == {
        "v1": HISTORY_OF_A[3:],
        "v2": HISTORY_OF_A[3:],
        "v3": HISTORY_OF_A[2:],
        "v5": HISTORY_OF_A,
    }


async def test_a_price_of_a_history_has_the_history_of_its_own_version(retail: Api) -> None:
    document = """{ snapshot(priceList: "retail") { price(sku: "a") {
      history { version price { amount unitAmount history { version price { amount } } } } } } }"""
    history = (await retail.data(document))["snapshot"]["price"]["history"]
    assert [change["price"] and amounts(change["price"]["history"]) for change in history] == [
        HISTORY_OF_A,
        None,
        HISTORY_OF_A[2:],
        HISTORY_OF_A[3:],
    ]


async def test_a_price_that_a_mutation_published_has_its_history(retail: Api) -> None:
    document = """mutation ($i: PublishBatchInput!) { publishBatch(input: $i) {
      snapshot { price(sku: "a") { history { version price { amount } } } } } }"""
    sent = {"priceList": "retail", "mode": "MERGE", "idempotencyKey": "k", "prices": [row("a", "4")]}
    payload = (await retail.data(document, i=sent))["publishBatch"]
    assert amounts(payload["snapshot"]["price"]["history"]) == [(6, "4"), *HISTORY_OF_A]


async def test_a_response_with_a_history_is_not_cached_because_its_versions_may_expire(retail: Api) -> None:
    document = f'{{ snapshot(priceList: "retail", version: 5) {{ price(sku: "a") {{ {HISTORY} }} }} }}'
    response = await retail.http.post("/graphql", json={"query": document})
    assert "etag" not in response.headers
    assert len(response.json()["data"]["snapshot"]["price"]["history"]) == 4
    await retail.runtime.store.db["snapshots"].update_one(
        {"_id": {"list": "retail", "version": 1}}, {"$set": {"state": "RETIRED"}}
    )
    history = (await retail.data(document))["snapshot"]["price"]["history"]
    assert amounts(history) == [*HISTORY_OF_A[:3], (2, "1")]
