"""Releases in the API: several lists that change at the same moment, from the first batch to the rollback."""

import datetime
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from storage import Release
from tests.graph.api import PUBLISH, Api, codes, row
from tests.graph.releases import change, create, find, names, send
from tests.graph.sockets import connection
from tests.waiting import until

LISTS = ["b2b", "b2c"]

EVENTS = "query ($l: ID!) { events(priceList: $l, first: 1) { nodes { kind by reason release batch { id } } } }"


@pytest.fixture
async def shops(api: Api) -> Api:
    """Two lists with a version each."""
    await api.create(*LISTS)
    for name in LISTS:
        await api.publish(name, [row("a", "1")])
    return api


async def prepared(api: Api) -> str:
    """A release with a batch of each list."""
    release = await create(api)
    for name in LISTS:
        assert (await send(api, name, release))["batch"]["state"] == "HELD"
    return release


async def published(api: Api) -> str:
    """A published release."""
    release = await prepared(api)
    assert codes(await change(api, "publishRelease", release=release)) == []
    return release


async def amounts(api: Api) -> list[str]:
    """The amount of each list."""
    return [(await api.amounts(name) or {})["a"] for name in LISTS]


async def last_event(api: Api, price_list: str) -> dict[str, Any]:
    event: dict[str, Any] = (await api.data(EVENTS, l=price_list))["events"]["nodes"][0]
    return event


async def test_a_new_release_is_open_and_empty(shops: Api) -> None:
    payload = await change(shops, "createRelease", name="spring", idempotencyKey="k")
    assert payload["userErrors"] == []
    release = payload["release"]
    assert (release["name"], release["state"], release["createdBy"]) == ("spring", "OPEN", "anonymous")
    assert (release["publishAt"], release["publishedAt"], release["items"]) == (None, None, [])
    again = await change(shops, "createRelease", name="spring", idempotencyKey="k")
    assert again == payload, "retries are safe"
    reused = await change(shops, "createRelease", name="summer", idempotencyKey="k")
    assert (codes(reused), reused["release"]) == (["IDEMPOTENCY_KEY_REUSED"], None)


async def test_batches_wait_in_their_release_and_are_published_at_once(shops: Api) -> None:
    release = await prepared(shops)
    found = await find(shops, release)
    assert found is not None
    assert names(found) == LISTS
    assert [item["batch"]["state"] for item in found["items"]] == ["HELD", "HELD"]
    assert await amounts(shops) == ["1", "1"]

    payload = await change(shops, "publishRelease", release=release, reason="spring begins")
    assert payload["userErrors"] == []
    after = payload["release"]
    assert (after["state"], after["publishedAt"] is not None) == ("PUBLISHED", True)
    for item in after["items"]:
        assert item["priceList"]["currentVersion"] == 2, "the request reads the pointers that it has moved"
        assert (item["fromVersion"], item["toVersion"], item["batch"]["state"]) == (1, 2, "PUBLISHED")
    assert await amounts(shops) == ["9", "9"]
    for item in after["items"]:
        event = await last_event(shops, item["priceList"]["name"])
        assert (event["kind"], event["reason"], event["release"]) == ("PUBLISHED", "spring begins", release)
        assert event["batch"] == {"id": item["batch"]["id"]}
    assert (await change(shops, "publishRelease", release=release)) == payload, "retries are safe"


async def test_a_later_batch_of_a_list_takes_the_place_of_the_earlier_one(shops: Api) -> None:
    release = await create(shops)
    first, second = [(await send(shops, "b2b", release, amount))["batch"]["id"] for amount in ("8", "9")]
    found = await find(shops, release)
    assert found is not None
    assert [item["batch"]["id"] for item in found["items"]] == [second]
    document = "query ($id: ID!) { batch(id: $id) { state release { id } } }"
    superseded = (await shops.data(document, id=first))["batch"]
    assert superseded == {"state": "REJECTED", "release": {"id": release}}


async def test_a_finding_of_the_batch_names_its_release(shops: Api) -> None:
    release = await create(shops, "spring")
    batch = (await send(shops, "b2b", release))["batch"]["id"]
    document = "query ($id: ID!) { batch(id: $id) { release { name } findings { gate severity message } } }"
    found = (await shops.data(document, id=batch))["batch"]
    [finding] = found["findings"]
    assert (found["release"], finding["gate"], finding["severity"]) == ({"name": "spring"}, "release", "HOLD")
    assert release in finding["message"]


async def test_a_batch_in_parts_and_a_file_are_sent_into_a_release(shops: Api) -> None:
    release = await create(shops)
    fields = {"priceList": "b2b", "mode": "REPLACE", "idempotencyKey": "parts", "release": release}
    document = "mutation ($i: OpenBatchInput!) { openBatch(input: $i) { batch { id release { id } } } }"
    opened = (await shops.data(document, i=fields))["openBatch"]["batch"]
    assert opened["release"] == {"id": release}
    part = {"batch": opened["id"], "sequence": 0, "prices": [row("a", "9")]}
    await shops.data("mutation ($i: AppendBatchInput!) { appendBatch(input: $i) { batch { id } } }", i=part)
    unsealed = await change(shops, "publishRelease", release=release)
    assert (codes(unsealed), unsealed["userErrors"][0]["path"]) == (["BATCH_NOT_SEALED"], ["input", "release", "b2b"])
    commit = {"batch": opened["id"], "parts": 1, "size": 1}
    await shops.data("mutation ($i: CommitBatchInput!) { commitBatch(input: $i) { batch { state } } }", i=commit)

    order = {"priceList": "b2c", "mode": "REPLACE", "idempotencyKey": "file", "file": None, "release": release}
    operations = {"query": PUBLISH, "variables": {"input": order}}
    form = {"operations": json.dumps(operations), "map": json.dumps({"0": ["variables.input.file"]})}
    files = {"0": ("p.ndjson", b'{"sku":"a","amount":"9","currency":"EUR"}\n')}
    response = await shops.http.post("/graphql", data=form, files=files)
    assert response.json()["data"]["publishBatch"]["batch"]["state"] == "HELD"

    assert codes(await change(shops, "publishRelease", release=release)) == []
    assert await amounts(shops) == ["9", "9"]


async def test_sending_a_batch_again_returns_it_also_after_the_release(shops: Api) -> None:
    release = await create(shops)
    first = await send(shops, "b2b", release, key="k")
    await change(shops, "publishRelease", release=release)
    again = await send(shops, "b2b", release, key="k")
    assert (codes(again), again["batch"]["id"]) == ([], first["batch"]["id"])
    assert again["batch"]["state"] == "PUBLISHED"


async def test_subscribers_get_one_change_of_each_list_with_the_release(shops: Api) -> None:
    release = await prepared(shops)
    query = "subscription ($l: ID!) { published(priceList: $l) { priceList version release } }"
    async with connection(shops.app) as socket:
        await socket.init()
        for name in LISTS:
            socket.send(id=name, type="subscribe", payload={"query": query, "variables": {"l": name}})
            first = (await socket.receive())["payload"]["data"]["published"]
            assert first == {"priceList": name, "version": 1, "release": None}
        await change(shops, "publishRelease", release=release)
        changes = [(await socket.receive())["payload"]["data"]["published"] for _ in LISTS]
        assert sorted(changes, key=lambda each: each["priceList"]) == [
            {"priceList": name, "version": 2, "release": release} for name in LISTS
        ]
        await shops.publish("b2b", [row("a", "5")])
        alone = (await socket.receive())["payload"]["data"]["published"]
        assert alone == {"priceList": "b2b", "version": 3, "release": None}


async def test_it_is_known_how_many_processes_serve_all_lists_of_a_release(shops: Api) -> None:
    document = "query ($id: ID!) { release(id: $id) { served { by of } } }"
    release = await prepared(shops)
    assert (await shops.data(document, id=release))["release"] == {"served": None}
    await change(shops, "publishRelease", release=release)

    async def is_served() -> bool:
        return bool((await shops.data(document, id=release))["release"]["served"] == {"by": 1, "of": 1})

    await until(is_served, "served")
    revisions = shops.runtime.pointers.revisions
    behind = {**revisions(), "b2c": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(shops.runtime.pointers), "revisions", lambda _: behind)
        assert (await shops.data(document, id=release))["release"]["served"] == {"by": 0, "of": 1}


async def test_a_rollback_moves_all_lists_back_and_pins_them(shops: Api) -> None:
    release = await published(shops)
    payload = await change(shops, "rollbackRelease", release=release, reason="too early")
    assert (payload["userErrors"], payload["release"]["state"]) == ([], "ROLLED_BACK")
    assert [item["priceList"]["currentVersion"] for item in payload["release"]["items"]] == [1, 1]
    assert await amounts(shops) == ["1", "1"]
    for name in LISTS:
        event = await last_event(shops, name)
        assert (event["kind"], event["reason"], event["release"]) == ("ROLLED_BACK", "too early", release)
        pin = await shops.data("query ($l: ID!) { priceList(name: $l) { pin { version reason } } }", l=name)
        assert pin["priceList"]["pin"] == {"version": 1, "reason": "too early"}
    assert await change(shops, "rollbackRelease", release=release, reason="again") == payload


async def test_a_discarded_release_rejects_its_batches(shops: Api) -> None:
    release = await prepared(shops)
    payload = await change(shops, "discardRelease", release=release, reason="no spring")
    assert (payload["userErrors"], payload["release"]["state"]) == ([], "DISCARDED")
    assert [item["batch"]["state"] for item in payload["release"]["items"]] == ["REJECTED", "REJECTED"]
    event = await last_event(shops, "b2b")
    assert (event["kind"], event["release"]) == ("REJECTED", release)
    assert await change(shops, "discardRelease", release=release, reason="again") == payload


async def test_a_release_is_scheduled_and_its_schedule_taken_away(shops: Api) -> None:
    release = await prepared(shops)
    at = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + timedelta(hours=1)
    document = '{ priceList(name: "b2b") { nextChangeAt upcoming { nodes { publishAt release { state } } } } }'
    payload = await change(shops, "scheduleRelease", release=release, publishAt=at.isoformat(), reason="at ten")
    assert (payload["userErrors"], payload["release"]["state"]) == ([], "SCHEDULED")
    assert datetime.datetime.fromisoformat(payload["release"]["publishAt"]) == at
    price_list = (await shops.data(document))["priceList"]
    assert datetime.datetime.fromisoformat(price_list["nextChangeAt"]) == at
    [upcoming] = price_list["upcoming"]["nodes"]
    assert upcoming["release"] == {"state": "SCHEDULED"}
    assert (await last_event(shops, "b2c"))["release"] == release
    payload = await change(shops, "scheduleRelease", release=release, publishAt=None, reason="not yet")
    assert (payload["release"]["state"], payload["release"]["publishAt"]) == ("OPEN", None)
    assert (await shops.data(document))["priceList"] == {"nextChangeAt": None, "upcoming": {"nodes": []}}


async def test_a_release_may_have_its_instant_from_the_start(shops: Api) -> None:
    at = (datetime.datetime.now(datetime.UTC).replace(microsecond=0) + timedelta(hours=1)).isoformat()
    release = await find(shops, await create(shops, publishAt=at))
    assert release is not None
    assert release["state"] == "SCHEDULED"
    assert datetime.datetime.fromisoformat(release["publishAt"]) == datetime.datetime.fromisoformat(at)


async def test_releases_are_paged_newest_first(shops: Api) -> None:
    first, second, third = [await create(shops, name) for name in ("a", "b", "c")]
    await change(shops, "discardRelease", release=second, reason="x")
    document = """query ($state: ReleaseState, $first: Int, $after: String) {
      releases(state: $state, first: $first, after: $after) {
        totalCount nodes { id } edges { cursor } pageInfo { hasNextPage endCursor } } }"""
    page = (await shops.data(document, first=2))["releases"]
    assert [node["id"] for node in page["nodes"]] == [third, second]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    page = (await shops.data(document, first=2, after=page["pageInfo"]["endCursor"]))["releases"]
    assert ([node["id"] for node in page["nodes"]], page["pageInfo"]["hasNextPage"]) == ([first], False)
    opened = (await shops.data(document, state="OPEN"))["releases"]
    assert ([node["id"] for node in opened["nodes"]], opened["totalCount"]) == ([third, first], 2)


async def test_the_releases_of_a_page_of_batches_are_read_in_one_round_trip(
    shops: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {await prepared(shops) for _ in range(3)}
    repository, reads = shops.runtime.store.releases, list[int]()
    get_many = repository.get_many

    async def counting(ids: Sequence[str]) -> list[Any]:
        reads.append(len(ids))
        return list(await get_many(ids))

    monkeypatch.setattr(repository, "get_many", counting)
    nodes = (await shops.data("{ batches(state: HELD) { nodes { release { id } } } }"))["batches"]["nodes"]
    assert {node["release"]["id"] for node in nodes} == expected
    assert reads == [3]


async def test_mutations_of_one_request_read_what_the_ones_before_them_changed(shops: Api) -> None:
    release = await create(shops)
    order = {"mode": "REPLACE", "prices": [row("a", "9")], "release": release}
    first, second = [{**order, "priceList": name, "idempotencyKey": name} for name in LISTS]
    document = """mutation ($a: PublishBatchInput!, $b: PublishBatchInput!, $r: ID!) {
      a: publishBatch(input: $a) { batch { release { items { batch { state } } } } }
      b: publishBatch(input: $b) { batch { release { items { batch { state } } } } }
      publishRelease(input: {release: $r}) { release { items { batch { state } } } } }"""
    data = await shops.data(document, a=first, b=second, r=release)
    held, moved = {"batch": {"state": "HELD"}}, {"batch": {"state": "PUBLISHED"}}
    assert data["a"]["batch"]["release"]["items"] == [held]
    assert data["b"]["batch"]["release"]["items"] == [held, held]
    assert data["publishRelease"]["release"]["items"] == [moved, moved]


async def test_a_release_is_a_node(shops: Api) -> None:
    release = await create(shops, "spring")
    document = "query ($id: ID!) { node(id: $id) { __typename id ... on Release { name } } }"
    assert (await shops.data(document, id=release))["node"] == {
        "__typename": "Release",
        "id": release,
        "name": "spring",
    }
    assert isinstance(await shops.runtime.store.releases.get(release), Release)
