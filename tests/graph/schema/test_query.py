"""Queries: their results, order, pagination and errors."""

from typing import Any

import pytest

from tests.graph.api import Api, row

PAGE = """
query ($after: String, $first: Int, $before: String, $last: Int) {
  snapshot(priceList: "retail") {
    prices(first: $first, after: $after, last: $last, before: $before) {
      totalCount
      nodes { sku }
      edges { cursor node { sku } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}"""


async def page_of(api: Api, **window: Any) -> dict[str, Any]:
    page: dict[str, Any] = (await api.data(PAGE, **window))["snapshot"]["prices"]
    return page


def skus(page: dict[str, Any]) -> list[str]:
    return [node["sku"] for node in page["nodes"]]


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list `retail` with version 1: skus `a` to `g` at 1.00."""
    await api.create("retail")
    await api.publish("retail", [row(sku) for sku in "gfedcba"])
    return api


async def test_a_snapshot_is_the_current_version_unless_a_number_is_given(retail: Api) -> None:
    await retail.publish("retail", [row("a", "2.00")])
    data = await retail.data(
        """{
          current: snapshot(priceList: "retail") { version size price(sku: "a") { amount } }
          first: snapshot(priceList: "retail", version: 1) { version size price(sku: "a") { amount } }
        }"""
    )
    assert data["current"] == {"version": 2, "size": 1, "price": {"amount": "2.00"}}
    assert data["first"] == {"version": 1, "size": 7, "price": {"amount": "1.00"}}


async def test_a_list_without_a_version_has_no_snapshot(api: Api) -> None:
    await api.create("empty")
    data = await api.data(
        '{ snapshot(priceList: "empty") { version } priceList(name: "empty") { currentVersion current { version } } }'
    )
    assert data == {"snapshot": None, "priceList": {"currentVersion": None, "current": None}}


async def test_a_snapshot_has_its_batch_and_times(retail: Api) -> None:
    payload = await retail.submit("retail", [row("a")], label="spring")
    snapshot = (
        await retail.data(
            """{ snapshot(priceList: "retail") {
              priceList version size state label createdAt publishedAt
              batch { id state mode version checksum label submittedBy createdAt finishedAt priceList errorCount }
            } }"""
        )
    )["snapshot"]
    batch = snapshot.pop("batch")
    assert snapshot.pop("createdAt") <= snapshot.pop("publishedAt")
    assert snapshot == {"priceList": "retail", "version": 2, "size": 1, "state": "PUBLISHED", "label": "spring"}
    assert batch.pop("createdAt") <= batch.pop("finishedAt")
    assert batch == {
        "id": payload["batch"]["id"],
        "checksum": payload["batch"]["checksum"],
        "priceList": "retail",
        "state": "PUBLISHED",
        "mode": "REPLACE",
        "version": 2,
        "label": "spring",
        "submittedBy": "anonymous",
        "errorCount": 0,
    }


async def test_a_price_comes_back_as_it_was_sent(api: Api) -> None:
    await api.create("retail")
    exact = "9999999999999999999999.123456789000"
    sent = row(
        "Ä/1 \N{SNOWMAN}",
        exact,
        "JPY",
        tiers=[{"minQuantity": 100, "amount": "0.10"}, {"minQuantity": 10, "amount": "0.90"}],
        validFrom="2026-01-01",
        validUntil="2026-12-31",
        attributes={"z": [1, 2.5, None, True], "a": {"b": "\N{SNOWMAN}"}},
    )
    await api.publish("retail", [sent])
    price = (
        await api.data(
            """query ($sku: ID!) { snapshot(priceList: "retail") { price(sku: $sku) {
              sku amount currency tiers { minQuantity amount } validFrom validUntil attributes
            } } }""",
            sku=sent["sku"],
        )
    )["snapshot"]["price"]
    assert price == {**sent, "tiers": sorted(sent["tiers"], key=lambda tier: tier["minQuantity"])}


async def test_missing_values_of_a_price_are_null_or_empty(retail: Api) -> None:
    price = (
        await retail.data(
            """{ snapshot(priceList: "retail") {
              price(sku: "a") { tiers { amount } validFrom validUntil attributes } none: price(sku: "A") { sku }
            } }"""
        )
    )["snapshot"]
    assert price == {"price": {"tiers": [], "validFrom": None, "validUntil": None, "attributes": {}}, "none": None}


async def test_prices_by_sku_are_in_the_requested_order_with_null_for_unknown_skus(retail: Api) -> None:
    data = await retail.data(
        '{ snapshot(priceList: "retail") { pricesBySku(skus: ["c", "zz", "a", "c", ""]) { sku } } }'
    )
    assert data["snapshot"]["pricesBySku"] == [{"sku": "c"}, None, {"sku": "a"}, {"sku": "c"}, None]


async def test_prices_by_sku_are_limited(retail: Api) -> None:
    document = 'query ($s: [ID!]!) { snapshot(priceList: "retail") { pricesBySku(skus: $s) { sku } } }'
    assert len((await retail.data(document, s=["a"] * 1000))["snapshot"]["pricesBySku"]) == 1000
    assert await retail.error_codes(document, s=["a"] * 1001) == ["PAGE_TOO_LARGE"]


async def test_prices_are_paginated_forward_in_sku_order(retail: Api) -> None:
    first = await page_of(retail, first=3)
    assert skus(first) == ["a", "b", "c"]
    assert first["totalCount"] == 7
    assert [edge["node"]["sku"] for edge in first["edges"]] == ["a", "b", "c"]
    assert first["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": first["edges"][0]["cursor"],
        "endCursor": first["edges"][-1]["cursor"],
    }
    second = await page_of(retail, first=3, after=first["pageInfo"]["endCursor"])
    assert skus(second) == ["d", "e", "f"]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (True, True)
    last = await page_of(retail, first=3, after=second["pageInfo"]["endCursor"])
    assert skus(last) == ["g"]
    assert last["pageInfo"]["hasNextPage"] is False
    end = await page_of(retail, first=3, after=last["pageInfo"]["endCursor"])
    assert end["nodes"] == []
    assert end["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": None,
        "endCursor": None,
    }


async def test_prices_are_paginated_backward_in_sku_order(retail: Api) -> None:
    last = await page_of(retail, last=3)
    assert skus(last) == ["e", "f", "g"]
    assert (last["pageInfo"]["hasNextPage"], last["pageInfo"]["hasPreviousPage"]) == (False, True)
    middle = await page_of(retail, last=3, before=last["pageInfo"]["startCursor"])
    assert skus(middle) == ["b", "c", "d"]
    assert (middle["pageInfo"]["hasNextPage"], middle["pageInfo"]["hasPreviousPage"]) == (True, True)
    first = await page_of(retail, last=3, before=middle["pageInfo"]["startCursor"])
    assert skus(first) == ["a"]
    assert first["pageInfo"]["hasPreviousPage"] is False


async def test_both_ends_of_a_range_can_be_given(retail: Api) -> None:
    cursors = [edge["cursor"] for edge in (await page_of(retail, first=7))["edges"]]
    assert skus(await page_of(retail, after=cursors[1], before=cursors[5])) == ["c", "d", "e"]


async def test_a_page_has_a_hundred_prices_by_default(api: Api) -> None:
    await api.create("retail")
    await api.publish("retail", [row(f"{i:04}") for i in range(101)])
    page = await api.data('{ snapshot(priceList: "retail") { prices { nodes { sku } pageInfo { hasNextPage } } } }')
    assert len(page["snapshot"]["prices"]["nodes"]) == 100
    assert page["snapshot"]["prices"]["pageInfo"]["hasNextPage"] is True


async def test_a_page_size_outside_its_limits_is_refused(retail: Api) -> None:
    for window in ({"first": 0}, {"first": -1}, {"last": 0}):
        assert await retail.error_codes(PAGE, **window) == ["INVALID_ARGUMENT"], window
    for window in ({"first": 1001}, {"last": 1001}, {"first": 1, "last": 1001}):
        assert await retail.error_codes(PAGE, **window) == ["PAGE_TOO_LARGE"], window


async def test_a_malformed_or_foreign_cursor_is_refused(retail: Api) -> None:
    names = (await retail.data("{ priceLists { pageInfo { endCursor } } }"))["priceLists"]["pageInfo"]
    for cursor in ("", "nonsense", "\N{SNOWMAN}", names["endCursor"]):
        assert await retail.error_codes(PAGE, after=cursor) == ["INVALID_ARGUMENT"], cursor


async def test_price_lists_are_listed_by_name(api: Api) -> None:
    await api.create("c", "a", "b")
    document = """query ($after: String) {
      priceLists(first: 2, after: $after) { totalCount nodes { name } pageInfo { hasNextPage endCursor } }
    }"""
    first = (await api.data(document))["priceLists"]
    assert first["totalCount"] == 3
    assert [node["name"] for node in first["nodes"]] == ["a", "b"]
    assert first["pageInfo"]["hasNextPage"] is True
    second = (await api.data(document, after=first["pageInfo"]["endCursor"]))["priceLists"]
    assert [node["name"] for node in second["nodes"]] == ["c"]
    assert second["pageInfo"]["hasNextPage"] is False


async def test_a_list_that_does_not_exist_is_null(api: Api) -> None:
    assert await api.data('{ priceList(name: "nope") { name } }') == {"priceList": None}


async def test_versions_are_listed_newest_first(retail: Api) -> None:
    await retail.publish("retail", [row("a")])
    await retail.publish("retail", [row("a")])
    document = """query ($after: String) { priceList(name: "retail") {
      snapshots(first: 2, after: $after) { totalCount nodes { version } pageInfo { endCursor hasNextPage } }
    } }"""
    first = (await retail.data(document))["priceList"]["snapshots"]
    assert (first["totalCount"], first["nodes"]) == (3, [{"version": 3}, {"version": 2}])
    second = (await retail.data(document, after=first["pageInfo"]["endCursor"]))["priceList"]["snapshots"]
    assert (second["nodes"], second["pageInfo"]["hasNextPage"]) == ([{"version": 1}], False)


async def test_events_are_listed_newest_first_with_caller_and_reason(retail: Api) -> None:
    payload = await retail.submit("retail", [row("a")])
    await retail.data(
        'mutation { rollback(input: {priceList: "retail", toVersion: 1, reason: "oops"}) { __typename } }'
    )
    document = """query ($after: String) { priceList(name: "retail") {
      events(first: 2, after: $after) {
        totalCount nodes { kind by reason fromVersion toVersion batch { id } } pageInfo { endCursor hasNextPage }
      }
    } }"""
    first = (await retail.data(document))["priceList"]["events"]
    assert first["totalCount"] == 4
    assert first["nodes"] == [
        {
            "kind": "ROLLED_BACK",
            "by": "anonymous",
            "reason": "oops",
            "fromVersion": 2,
            "toVersion": 1,
            "batch": None,
        },
        {
            "kind": "PUBLISHED",
            "by": "anonymous",
            "reason": None,
            "fromVersion": 1,
            "toVersion": 2,
            "batch": {"id": payload["batch"]["id"]},
        },
    ]
    second = (await retail.data(document, after=first["pageInfo"]["endCursor"]))["priceList"]["events"]
    assert [event["kind"] for event in second["nodes"]] == ["PUBLISHED", "CREATED"]
    assert second["pageInfo"]["hasNextPage"] is False


async def test_event_ids_are_unique_across_lists(api: Api) -> None:
    await api.create("a", "b")
    lists = (await api.data("{ priceLists { nodes { events { nodes { id } } } } }"))["priceLists"]["nodes"]
    ids = [event["id"] for price_list in lists for event in price_list["events"]["nodes"]]
    assert len(ids) == len(set(ids)) == 2


async def test_batches_are_listed_newest_first_by_list_and_state(api: Api) -> None:
    await api.create("a", "b")
    sent = [
        (await api.submit("a", [row("x")]))["batch"]["id"],
        (await api.submit("b", [row("x")]))["batch"]["id"],
        (await api.submit("a", [row("")]))["batch"]["id"],
    ]
    document = """query ($list: ID, $state: BatchState, $first: Int, $after: String) {
      batches(priceList: $list, state: $state, first: $first, after: $after) {
        totalCount nodes { id } pageInfo { endCursor }
      }
    }"""

    async def batch_ids(**variables: Any) -> list[str]:
        connection = (await api.data(document, **variables))["batches"]
        assert "first" in variables or connection["totalCount"] == len(connection["nodes"])
        return [node["id"] for node in connection["nodes"]]

    assert await batch_ids() == sent[::-1]
    assert await batch_ids(list="a") == [sent[2], sent[0]]
    assert await batch_ids(list="a", state="FAILED") == [sent[2]]
    assert await batch_ids(state="PUBLISHED") == [sent[1], sent[0]]
    assert await batch_ids(list="nope") == []
    cursor = (await api.data(document, first=2))["batches"]["pageInfo"]["endCursor"]
    assert await batch_ids(first=2, after=cursor) == [sent[0]]


async def test_a_batch_is_found_by_its_id(retail: Api) -> None:
    sent = (await retail.submit("retail", [row("a"), row("b")]))["batch"]
    document = "query ($id: ID!) { batch(id: $id) { id state progress { received stored expected } } }"
    batch = (await retail.data(document, id=sent["id"]))["batch"]
    assert batch == {
        "id": sent["id"],
        "state": "PUBLISHED",
        "progress": {"received": 2, "stored": 2, "expected": 2},
    }
    assert (await retail.data(document, id="nope"))["batch"] is None


async def test_an_unknown_list_is_an_error(api: Api) -> None:
    document = 'query ($v: Int) { snapshot(priceList: "nope", version: $v) { version } }'
    for variables in ({}, {"v": 1}):
        body = await api.execute(document, **variables)
        assert body["data"] == {"snapshot": None}
        assert [(error["path"], error["extensions"]) for error in body["errors"]] == [
            (["snapshot"], {"code": "PRICE_LIST_NOT_FOUND"})
        ]


async def test_an_unknown_version_is_an_error(retail: Api) -> None:
    document = 'query ($v: Int) { snapshot(priceList: "retail", version: $v) { version } }'
    for version in (0, -1, 2, 2**31 - 1):
        assert await retail.error_codes(document, v=version) == ["SNAPSHOT_NOT_FOUND"], version


async def test_an_expired_version_is_an_error(retail: Api) -> None:
    await retail.publish("retail", [row("a")])
    await retail.runtime.store.db["snapshots"].update_one(
        {"_id": {"list": "retail", "version": 1}}, {"$set": {"state": "RETIRED"}}
    )
    document = '{ snapshot(priceList: "retail", version: 1) { version } }'
    assert await retail.error_codes(document) == ["SNAPSHOT_EXPIRED"]
