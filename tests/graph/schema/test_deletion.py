"""Deleting price lists through the API: for every process the list is gone, and its numbers are never used again."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage import Store
from tests.graph.api import Api, codes, open_settings, row, serving
from tests.graph.sockets import connection
from tests.waiting import until

DELETE = """
mutation ($input: DeletePriceListInput!) {
  deletePriceList(input: $input) { deletedId userErrors { code message path } }
}"""
BY_NUMBER = 'query ($v: Int) { snapshot(priceList: "retail", version: $v) { id prices { nodes { sku } } } }'
PUBLISHED = 'subscription ($after: Int) { published(priceList: "retail", after: $after) { revision version } }'
EVENTS = 'query { events(priceList: "retail", first: 2) { totalCount nodes { kind by reason } } }'
CREATE = 'mutation { createPriceList(input: {name: "retail"}) { userErrors { code } } }'


@pytest.fixture
async def apis(mongodb_uri: str, store: Store) -> AsyncIterator[tuple[Api, Api]]:
    """Two servers of one database, with a list `retail` that has two versions."""
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name)
    async with serving(settings) as first, serving(settings) as second:
        await first.create("retail")
        await first.publish("retail", [row("a")])
        await first.publish("retail", [row("b")])
        await until(lambda: serves(second, 2), "served by both")
        yield first, second


async def serves(api: Api, version: int | None) -> bool:
    known = api.runtime.pointers.known("retail")
    return (known and known.current_version) == version


async def delete(api: Api, **more: Any) -> dict[str, Any]:
    fields = {"name": "retail", "confirmName": "retail", "reason": "moved", "force": True, **more}
    payload: dict[str, Any] = (await api.data(DELETE, input=fields))["deletePriceList"]
    return payload


async def recreate(api: Api) -> None:
    async def is_created() -> bool:
        return not (await api.data(CREATE))["createPriceList"]["userErrors"]

    await until(is_created, "created once nothing of the deleted list is left")


async def test_the_list_is_gone_for_every_process(apis: tuple[Api, Api], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = apis
    for api in apis:
        monkeypatch.setattr(api.runtime.store.deleter, "purge", nothing)  # its versions are still stored
        assert (await api.data(BY_NUMBER, v=1))["snapshot"]
        assert await api.amounts("retail") == {"b": "1.00"}
    assert await delete(first) == {"deletedId": "PriceList:retail", "userErrors": []}
    await until(lambda: serves(second, None), "followed by the other process")
    for api in apis:
        assert (await api.data('{ priceList(name: "retail") { name } priceLists { nodes { name } } }')) == {
            "priceList": None,
            "priceLists": {"nodes": []},
        }
        assert (await api.data('{ node(id: "PriceList:retail") { id } }')) == {"node": None}
        for version in (None, 1, 2):
            assert await api.error_codes(BY_NUMBER, v=version) == ["PRICE_LIST_NOT_FOUND"]
        assert (await api.data('{ node(id: "Price:retail:1:a") { id } }')) == {"node": None}
        assert codes(await api.submit("retail", [row("c")])) == ["PRICE_LIST_NOT_FOUND"]
        assert api.runtime.pointers.versions.find("retail", 1) is None
        assert api.runtime.pointers.versions.find("retail", 2) is None


async def nothing(_: str) -> None:
    """Instead of the purge."""


async def test_the_name_has_to_be_repeated(apis: tuple[Api, Api]) -> None:
    payload = await delete(apis[0], confirmName="Retail")
    assert (payload["deletedId"], codes(payload)) == (None, ["INVALID_ARGUMENT"])
    assert payload["userErrors"][0]["path"] == ["input", "confirmName"]
    assert await apis[0].amounts("retail") == {"b": "1.00"}


async def test_a_list_in_use_is_deleted_only_if_forced(apis: tuple[Api, Api]) -> None:
    assert codes(await delete(apis[0], force=False)) == ["PRICE_LIST_IN_USE"]
    assert await apis[0].amounts("retail") == {"b": "1.00"}


async def test_the_time_after_a_publication_is_a_setting(mongodb_uri: str, store: Store) -> None:
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name, delete_idle_hours=0)
    async with serving(settings) as api:
        await api.create("retail")
        await api.publish("retail", [row("a")])
        assert codes(await delete(api, force=False)) == []


async def test_versions_ids_and_etags_go_on_when_the_name_is_created_anew(apis: tuple[Api, Api]) -> None:
    first, second = apis
    query = {"query": '{ snapshot(priceList: "retail") { id prices { nodes { id sku amount } } } }'}
    before = await second.http.post("/graphql", json=query)
    await delete(first)
    await recreate(first)
    assert (await first.data('{ priceList(name: "retail") { currentVersion snapshots { totalCount } } }')) == {
        "priceList": {"currentVersion": None, "snapshots": {"totalCount": 0}}
    }
    assert await first.publish("retail", [row("b")]) == 3
    await until(lambda: serves(second, 3), "followed by the other process")
    headers = {"If-None-Match": before.headers["etag"]}
    after = await second.http.post("/graphql", json=query, headers=headers)
    assert (after.status_code, after.json()["data"]["snapshot"]["id"]) == (200, "Snapshot:retail:3")
    assert after.headers["etag"] != before.headers["etag"]
    for version in (1, 2):
        assert await second.error_codes(BY_NUMBER, v=version) == ["SNAPSHOT_NOT_FOUND"]


async def test_a_subscription_ends_with_an_error(apis: tuple[Api, Api]) -> None:
    first, second = apis
    async with connection(second.app) as socket:
        await socket.init()
        socket.send(id="1", type="subscribe", payload={"query": PUBLISHED})
        assert (await socket.receive())["payload"]["data"]["published"]["version"] == 2
        await delete(first)
        ended = await socket.receive()
        [error] = ended["payload"] if ended["type"] == "error" else ended["payload"]["errors"]
        assert error["extensions"]["code"] == "PRICE_LIST_NOT_FOUND"


async def test_a_subscription_to_a_list_that_was_created_anew_sends_its_own_versions(apis: tuple[Api, Api]) -> None:
    first, _ = apis
    await delete(first)
    await recreate(first)
    for after in (None, 0):
        async with connection(first.app) as socket:
            await socket.init()
            socket.send(id="1", type="subscribe", payload={"query": PUBLISHED, "variables": {"after": after}})
            version = await first.publish("retail", [row("c")])
            assert (await socket.receive())["payload"]["data"]["published"]["version"] == version
            await delete(first)
            await recreate(first)


async def test_the_audit_log_of_a_deleted_list_can_be_read(apis: tuple[Api, Api]) -> None:
    first, second = apis
    await delete(first)
    assert (await second.data(EVENTS))["events"] == {
        "totalCount": 4,
        "nodes": [
            {"kind": "DELETED", "by": "anonymous", "reason": "moved"},
            {"kind": "PUBLISHED", "by": "anonymous", "reason": None},
        ],
    }
    await recreate(first)
    assert (await first.data(EVENTS))["events"]["nodes"][0]["kind"] == "CREATED"
    log = await first.data('{ priceList(name: "retail") { events { totalCount } } }')
    assert log["priceList"]["events"]["totalCount"] == 5


async def test_the_audit_log_of_a_name_that_was_never_used_is_empty(apis: tuple[Api, Api]) -> None:
    assert (await apis[0].data('{ events(priceList: "nope") { totalCount nodes { kind } } }'))["events"] == {
        "totalCount": 0,
        "nodes": [],
    }
    assert await apis[0].error_codes('{ events(priceList: "No") { totalCount } }') == ["INVALID_ARGUMENT"]
