"""What a reviewer learns of a held batch: on which version it was made, and what it would change now."""

from collections.abc import Sequence
from typing import Any

import pytest

from loaders import diffs
from storage import BatchMode, Layer
from storage.layers.changes import Changes
from tests.graph.api import Api, codes, row
from tests.storage.factories import compact, forget_blocks, newest

BATCH = """query ($id: ID!) { batch(id: $id) {
  state version madeOnVersion baseVersion
  summary { added removed changed unchanged }
  rebased { baseVersion summary { added removed changed unchanged } } } }"""

REVIEW = "mutation ($input: ReviewBatchInput!) {{ {}(input: $input) {{ batch {{ state }} userErrors {{ code }} }} }}"
APPROVE, REJECT = REVIEW.format("approveBatch"), REVIEW.format("rejectBatch")

PIN = "mutation ($input: PinInput!) { pin(input: $input) { userErrors { code } } }"
UNPIN = """mutation ($input: UnpinInput!) {
  unpin(input: $input) { priceList { currentVersion } userErrors { code message path } } }"""

HELD_BY_PIN = """query ($first: Int, $after: String) { priceList(name: "retail") {
  heldByPin(first: $first, after: $after) { totalCount nodes { version } pageInfo { hasNextPage endCursor } } } }"""


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list whose version 1 has a, b and c."""
    await api.create("retail")
    await api.publish("retail", [row("a"), row("b"), row("c")])
    return api


async def hold(api: Api, mode: BatchMode, prices: list[Any], **more: Any) -> str:
    """Send a batch that waits for approval. Return its id."""
    payload = await api.submit("retail", prices, mode=mode, publish="ON_APPROVAL", **more)
    assert payload["batch"]["state"] == "HELD", payload
    batch_id: str = payload["batch"]["id"]
    return batch_id


async def merge(api: Api, prices: list[Any]) -> None:
    payload = await api.submit("retail", prices, mode="MERGE")
    assert payload["batch"]["state"] == "PUBLISHED", payload


async def read(api: Api, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.data(BATCH, id=batch_id))["batch"]
    return found


def summary(added: int, removed: int, changed: int, unchanged: int) -> dict[str, int]:
    return {"added": added, "removed": removed, "changed": changed, "unchanged": unchanged}


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        (BatchMode.MERGE, summary(1, 0, 1, 2), summary(1, 0, 0, 4)),
        (BatchMode.REPLACE, summary(1, 2, 1, 0), summary(1, 3, 0, 1)),
    ],
)
async def test_a_held_batch_is_compared_with_the_current_version(
    retail: Api, mode: BatchMode, before: dict[str, int], after: dict[str, int]
) -> None:
    batch_id = await hold(retail, mode, [row("b", "2.00"), row("new")])
    held = await read(retail, batch_id)
    assert (held["madeOnVersion"], held["baseVersion"], held["summary"]) == (1, 1, before)
    assert held["rebased"] == {"baseVersion": 1, "summary": before}
    await merge(retail, [row("b", "2.00"), row("d")])
    held = await read(retail, batch_id)
    assert (held["madeOnVersion"], held["baseVersion"], held["summary"]) == (1, 1, before)
    assert held["rebased"] == {"baseVersion": 3, "summary": after}
    await retail.data(APPROVE, input={"batch": batch_id, "reason": "x"})
    approved = await read(retail, batch_id)
    assert (approved["state"], approved["version"]) == ("PUBLISHED", 4)
    assert (approved["madeOnVersion"], approved["baseVersion"], approved["summary"]) == (1, 3, after)
    assert approved["rebased"] is None


async def test_the_changes_of_a_held_batch_are_counted_once_for_each_version(
    retail: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = retail.runtime.store
    count, counted = store.differ.count, list[int]()

    async def counting(before: Sequence[Layer], after: Sequence[Layer]) -> Changes:
        counted.append(1)
        return await count(before, after)

    batch_id = await hold(retail, BatchMode.MERGE, [row("b", "2.00")])
    monkeypatch.setattr(store.differ, "count", counting)
    await read(retail, batch_id)
    assert counted == [], "the stored summary compares with the same version"
    await merge(retail, [row("d")])
    counted.clear()
    for _ in range(2):
        assert (await read(retail, batch_id))["rebased"]["summary"] == summary(0, 0, 1, 3)
    assert len(counted) == 1
    await retail.data("query ($id: ID!) { batch(id: $id) { rebased { baseVersion } } }", id=batch_id)
    assert len(counted) == 1


async def test_a_held_batch_is_compared_with_a_version_that_was_compacted(retail: Api) -> None:
    batch_id = await hold(retail, BatchMode.MERGE, [row("b", "2.00")])
    for sku in ("d", "e"):
        await merge(retail, [row(sku)])
    assert (await retail.data('{ snapshot(priceList: "retail") { size } }'))["snapshot"] == {"size": 5}
    store = retail.runtime.store
    before = await newest(store)
    after = await compact(store, before)
    for layer in {*before.layer_ids} - {*after.layer_ids}:
        await store.layer_writer.drop(layer)
    forget_blocks(store)
    assert (await read(retail, batch_id))["rebased"] == {"baseVersion": 4, "summary": summary(0, 0, 1, 4)}


async def test_the_first_batch_of_a_list_is_made_on_no_version(api: Api) -> None:
    await api.create("retail")
    held = await read(api, await hold(api, BatchMode.MERGE, [row("a")]))
    assert (held["madeOnVersion"], held["baseVersion"]) == (None, None)
    assert held["rebased"] == {"baseVersion": None, "summary": summary(1, 0, 0, 0)}


async def test_a_batch_in_parts_is_made_on_the_version_that_was_current_when_it_was_opened(retail: Api) -> None:
    opened = await retail.data(
        "mutation ($input: OpenBatchInput!) { openBatch(input: $input) { batch { id madeOnVersion } } }",
        input={"priceList": "retail", "mode": "MERGE", "idempotencyKey": "parts"},
    )
    assert opened["openBatch"]["batch"]["madeOnVersion"] == 1
    batch_id = opened["openBatch"]["batch"]["id"]
    await merge(retail, [row("d")])
    await retail.data(
        "mutation ($input: AppendBatchInput!) { appendBatch(input: $input) { userErrors { code } } }",
        input={"batch": batch_id, "sequence": 0, "prices": [row("e")]},
    )
    await retail.data(
        "mutation ($input: CommitBatchInput!) { commitBatch(input: $input) { userErrors { code } } }",
        input={"batch": batch_id, "parts": 1, "size": 1},
    )
    done = await read(retail, batch_id)
    assert (done["state"], done["madeOnVersion"], done["baseVersion"]) == ("PUBLISHED", 1, 2)


@pytest.mark.parametrize(("document", "mutation"), [(APPROVE, "approveBatch"), (REJECT, "rejectBatch")])
async def test_a_review_can_expect_a_version(retail: Api, document: str, mutation: str) -> None:
    batch_id = await hold(retail, BatchMode.MERGE, [row("b", "2.00")])
    await merge(retail, [row("d")])
    order = {"batch": batch_id, "reason": "x"}
    refused = (await retail.data(document, input={**order, "expectedVersion": 1}))[mutation]
    assert codes(refused) == ["CONFLICT"]
    assert (await read(retail, batch_id))["state"] == "HELD"
    done = (await retail.data(document, input={**order, "expectedVersion": 3}))[mutation]
    assert codes(done) == []


async def test_the_batches_that_only_a_pin_holds_are_listed_newest_version_first(retail: Api) -> None:
    await retail.data(PIN, input={"priceList": "retail", "version": 1, "reason": "x"})
    for amount in ("2.00", "3.00", "4.00"):
        await retail.submit("retail", [row("a", amount)])
    await hold(retail, BatchMode.REPLACE, [row("a", "5.00")])
    page = (await retail.data(HELD_BY_PIN, first=2))["priceList"]["heldByPin"]
    assert ([each["version"] for each in page["nodes"]], page["totalCount"]) == ([4, 3], 3)
    rest = (await retail.data(HELD_BY_PIN, first=2, after=page["pageInfo"]["endCursor"]))["priceList"]["heldByPin"]
    assert ([each["version"] for each in rest["nodes"]], rest["pageInfo"]["hasNextPage"]) == ([2], False)
    # Those that an unpin superseded are left out, before the background rejects them.
    await retail.runtime.store.db["price_lists"].update_one({"_id": "retail"}, {"$set": {"supersededBefore": 4}})
    found = await retail.runtime.store.price_lists.get("retail")
    store = retail.runtime.store
    assert [batch.version for batch in await store.batches.waiting(found, 9)] == [4]
    assert await store.batches.count_waiting(found) == 1


async def test_an_unpin_can_expect_the_version_and_the_batch(retail: Api) -> None:
    await retail.data(PIN, input={"priceList": "retail", "version": 1, "reason": "x"})
    older, newer = [(await retail.submit("retail", [row("a", amount)]))["batch"]["id"] for amount in ("2.00", "3.00")]
    order = {"priceList": "retail", "reason": "x", "publishLatest": True}

    async def unpin(**more: Any) -> dict[str, Any]:
        payload: dict[str, Any] = (await retail.data(UNPIN, input={**order, **more}))["unpin"]
        return payload

    other_batch = await unpin(expectedBatch=older)
    [error] = other_batch["userErrors"]
    assert (error["code"], error["path"]) == ("CONFLICT", ["input", "expectedBatch"])
    assert older in error["message"]
    assert newer in error["message"]
    assert codes(await unpin(expectedVersion=9)) == ["CONFLICT"]
    assert codes(await unpin(publishLatest=False, expectedVersion=9)) == ["CONFLICT"]
    done = await unpin(expectedVersion=1, expectedBatch=newer)
    assert done == {"priceList": {"currentVersion": 3}, "userErrors": []}
    assert codes(await unpin(expectedBatch=newer)) == ["NOT_PINNED"]
    await retail.data(PIN, input={"priceList": "retail", "version": 3, "reason": "x"})
    [error] = (await unpin(expectedBatch=newer))["userErrors"]
    assert "but none is held" in error["message"]


async def test_the_changes_of_a_page_of_held_batches_are_not_counted(
    retail: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffs, "MAX_REBASED_SUMMARIES", 2)
    for _ in range(3):
        await hold(retail, BatchMode.MERGE, [row("d")])
    page = "{ batches(state: HELD, first: %d) { nodes { rebased { baseVersion summary { added } } } } }"
    assert await retail.error_codes(page % 3) == ["SCAN_LIMIT"]
    nodes = (await retail.data(page % 2))["batches"]["nodes"]
    assert [node["rebased"]["summary"]["added"] for node in nodes] == [1, 1]
