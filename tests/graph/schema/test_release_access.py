"""Which callers see a release, and which may change it: by the lists that its batches change."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.graph.api import Api, Client, codes, row
from tests.graph.releases import change, client, create, find, mutation, names, send

MISSING = "0" * 24

CHANGES: dict[str, dict[str, Any]] = {
    "publishRelease": {},
    "scheduleRelease": {"publishAt": None, "reason": "x"},
    "rollbackRelease": {"reason": "x"},
    "discardRelease": {"reason": "x"},
}

BATCH = "query ($id: ID!) { batch(id: $id) { state release { name } } }"
REJECT = "mutation ($i: ReviewBatchInput!) { rejectBatch(input: $i) { userErrors { code } } }"
OPEN = "mutation ($i: OpenBatchInput!) { openBatch(input: $i) { userErrors { code } } }"
NODE = "query ($id: ID!) { node(id: $id) { id ... on Release { name } } }"
LISTED = "{ releases { totalCount nodes { id } } }"


class Shops:
    """The lists `b2b`, `b2c` and `other` with a version each, and clients by their grants."""

    def __init__(self, api: Api, stack: AsyncExitStack) -> None:
        self.admin = api
        self._stack = stack

    async def caller(self, *grants: str) -> Client:
        return await self._stack.enter_async_context(client(self.admin, grants))

    async def release(self, *price_lists: str) -> str:
        """A release with a batch of each list."""
        release = await create(self.admin)
        for name in price_lists:
            await send(self.admin, name, release)
        return release


@pytest.fixture
async def shops(api: Api) -> AsyncIterator[Shops]:
    async with AsyncExitStack() as stack:
        for name in ("b2b", "b2c", "other"):
            await api.create(name)
            await api.publish(name, [row("a", "1")])
        yield Shops(api, stack)


async def test_whoever_works_on_any_list_creates_a_release(shops: Shops) -> None:
    for grant in ("batches:write:b2b", "snapshots:operate:b2b"):
        assert await create(await shops.caller(grant))
    reader = await shops.caller("prices:read")
    fields = {"name": "x", "idempotencyKey": "k"}
    assert await reader.error_codes(mutation("createRelease"), input=fields) == ["FORBIDDEN"]


async def test_a_caller_sees_the_releases_and_the_items_of_the_lists_that_he_works_on(shops: Shops) -> None:
    both, b2b, other = [await shops.release(*lists) for lists in (("b2b", "b2c"), ("b2b",), ("other",))]
    for grant, listed, items in (
        ("batches:write:b2b", [b2b, both], ["b2b"]),
        ("snapshots:operate:b2*", [b2b, both], ["b2b", "b2c"]),
        ("batches:write:b2c", [both], ["b2c"]),
        ("batches:write:other", [other], None),
    ):
        caller = await shops.caller(grant, "prices:read")
        page = (await caller.data(LISTED))["releases"]
        assert (page["totalCount"], [node["id"] for node in page["nodes"]]) == (len(listed), listed), grant
        found = await find(caller, both)
        assert (names(found) if found else None) == items, grant
        node = (await caller.data(NODE, id=both))["node"]
        assert node == ({"id": both, "name": "spring"} if items else None), grant


async def test_an_empty_release_is_seen_by_all_who_work_on_any_list(shops: Shops) -> None:
    release = await shops.release()
    worker, reader = await shops.caller("batches:write:other"), await shops.caller("prices:read")
    assert (await find(worker, release) or {})["id"] == release
    assert (await worker.data(LISTED))["releases"]["totalCount"] == 1
    assert (await reader.data(NODE, id=release))["node"] is None
    assert await reader.error_codes(LISTED) == ["FORBIDDEN"]


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_needs_the_scope_for_all_lists_of_the_release(shops: Shops, name: str) -> None:
    release = await shops.release("b2b", "b2c")
    fields = {"release": release, **CHANGES[name]}
    writer = await shops.caller("batches:write")
    assert await writer.error_codes(mutation(name), input=fields) == ["FORBIDDEN"]
    some = await shops.caller("snapshots:operate:b2b", "batches:write:b2c")
    before = await find(shops.admin, release)
    payload = await change(some, name, **fields)
    if name == "rollbackRelease":  # of a release that was published
        await change(shops.admin, "publishRelease", release=release)
        before, payload = await find(shops.admin, release), await change(some, name, **fields)
    [error] = payload["userErrors"]
    assert (error["code"], error["path"]) == ("FORBIDDEN", ["input", "release"])
    assert "b2c" not in error["message"]
    assert await find(shops.admin, release) == before
    allowed = await shops.caller("snapshots:operate:b2*")
    assert codes(await change(allowed, name, **fields)) == []


@pytest.mark.parametrize("name", CHANGES)
async def test_a_release_that_the_caller_does_not_see_is_like_one_that_does_not_exist(shops: Shops, name: str) -> None:
    release = await shops.release("b2b", "b2c")
    outsider = await shops.caller("snapshots:operate:other")
    hidden, missing = [await change(outsider, name, release=each, **CHANGES[name]) for each in (release, MISSING)]
    [error] = hidden["userErrors"]
    assert (error["code"], error["path"], hidden["release"]) == ("RELEASE_NOT_FOUND", ["input", "release"], None)
    assert hidden["userErrors"][0]["message"].replace(release, MISSING) == missing["userErrors"][0]["message"]
    assert codes(missing) == ["RELEASE_NOT_FOUND"]
    found = await find(shops.admin, release)
    assert found is not None
    assert found["state"] == "OPEN"


async def test_a_batch_that_is_not_sealed_is_not_named_to_a_caller_who_does_not_work_on_its_list(shops: Shops) -> None:
    release = await shops.release("b2b")
    opened = {"priceList": "b2c", "mode": "MERGE", "idempotencyKey": "k", "release": release}
    await shops.admin.data(OPEN, i=opened)
    operator = await shops.caller("snapshots:operate:b2b")
    payload = await change(operator, "publishRelease", release=release)
    assert codes(payload) == ["FORBIDDEN"]
    assert "b2c" not in payload["userErrors"][0]["message"]


async def test_the_release_of_a_batch_that_was_taken_out_is_seen_by_its_lists(shops: Shops) -> None:
    release = await shops.release("b2b", "b2c")
    items = (await find(shops.admin, release) or {})["items"]
    batch = next(item["batch"]["id"] for item in items if item["priceList"]["name"] == "b2b")
    b2b, both = await shops.caller("batches:write:b2b"), await shops.caller("batches:write:b2*")
    for caller in (b2b, both):
        assert (await caller.data(BATCH, id=batch))["batch"] == {"state": "HELD", "release": {"name": "spring"}}
    await shops.admin.data(REJECT, i={"batch": batch, "reason": "x"})
    assert names(await find(shops.admin, release)) == ["b2c"]
    assert (await b2b.data(BATCH, id=batch))["batch"] == {"state": "REJECTED", "release": None}
    assert (await both.data(BATCH, id=batch))["batch"]["release"] == {"name": "spring"}


async def test_no_cache_keeps_what_is_known_of_a_release(shops: Shops) -> None:
    release = await shops.release("b2b")
    worker = await shops.caller("batches:write:b2b")
    for document in (LISTED, f'{{ release(id: "{release}") {{ name }} }}', f'{{ node(id: "{release}") {{ id }} }}'):
        response = await worker.http.post("/graphql", json={"query": document})
        assert response.headers["cache-control"] == "private, no-store", document
