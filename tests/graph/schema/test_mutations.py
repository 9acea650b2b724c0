"""Mutations: batches are atomic and idempotent; rollbacks and pins hold."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock

import pytest

from storage import Gates
from tests.graph.api import CREATE, PUBLISH, ROLLBACK, Api, codes, row
from tests.waiting import until

PIN = """
mutation ($input: PinInput!) {
  pin(input: $input) { priceList { currentVersion pin { version reason by at } } userErrors { code message path } }
}"""
UNPIN = """
mutation ($input: UnpinInput!) {
  unpin(input: $input) { priceList { currentVersion pin { version } } userErrors { code message path } }
}"""


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list `retail` with version 1: sku `a` at 1.00."""
    await api.create("retail")
    await api.publish("retail", [row("a")])
    return api


# ---------------------------------------------------------------- price lists


async def test_gates_are_updated_only_if_they_are_those_that_were_expected(retail: Api) -> None:
    document = "mutation ($i: UpdatePriceListInput!) { updatePriceList(input: $i) { userErrors { code path } } }"

    async def update(gates: dict[str, Any], expected: dict[str, Any] | None) -> list[dict[str, Any]]:
        order = {"name": "retail", "gates": gates, "expectedGates": expected}
        errors: list[dict[str, Any]] = (await retail.data(document, i=order))["updatePriceList"]["userErrors"]
        return errors

    conflict = [{"code": "CONFLICT", "path": ["input", "expectedGates"]}]
    assert await update({"minSize": 1}, {"maxShrinkPercent": "5"}) == conflict
    assert await update({"minSize": 1, "maxShrinkPercent": "5"}, {}) == []
    assert await update({"minSize": 9}, {}) == conflict
    assert await update({"minSize": 2}, {"minSize": 1, "maxShrinkPercent": "5.00"}) == []
    assert await update({"minSize": 3}, None) == []
    assert (await retail.runtime.store.price_lists.get("retail")).gates == Gates(min_size=3)


async def test_a_list_is_created_without_a_version(api: Api) -> None:
    payload = (await api.data(CREATE, input={"name": "retail", "description": "Shops"}))["createPriceList"]
    assert payload == {
        "priceList": {"name": "retail", "description": "Shops", "currentVersion": None},
        "userErrors": [],
    }


async def test_a_list_name_is_unique(retail: Api) -> None:
    payload = (await retail.data(CREATE, input={"name": "retail"}))["createPriceList"]
    assert (payload["priceList"], codes(payload)) == (None, ["PRICE_LIST_EXISTS"])
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_an_invalid_list_name_is_refused(api: Api) -> None:
    for name in ("", "Retail", "a b", "-a", "a/b", "a" * 64, "é", "a\n"):
        payload = (await api.data(CREATE, input={"name": name}))["createPriceList"]
        assert codes(payload) == ["INVALID_ARGUMENT"], name
        assert payload["userErrors"][0]["path"] == ["input", "name"]
    assert (await api.data("{ priceLists { totalCount } }"))["priceLists"]["totalCount"] == 0


# ---------------------------------------------------------------- batches


async def test_a_batch_becomes_the_current_version(retail: Api) -> None:
    payload = await retail.submit("retail", [row("b", "2.00"), row("c", "3.00")], label="spring")
    batch = payload["batch"]
    assert payload["userErrors"] == []
    assert payload["snapshot"] == {"version": 2, "size": 2}
    assert (batch["state"], batch["version"], batch["label"]) == ("PUBLISHED", 2, "spring")
    assert batch["progress"] == {"received": 2, "stored": 2, "expected": 2}
    assert (batch["errors"], batch["errorCount"]) == ([], 0)
    assert await retail.amounts("retail") == {"b": "2.00", "c": "3.00"}


async def test_a_batch_is_visible_to_the_request_that_sent_it(retail: Api) -> None:
    data = await retail.data(
        """mutation ($input: PublishBatchInput!) {
          publishBatch(input: $input) { snapshot { price(sku: "b") { amount } prices { nodes { sku } } } }
        }""",
        input={
            "priceList": "retail",
            "mode": "REPLACE",
            "idempotencyKey": "k",
            "prices": [row("b", "2.00")],
        },
    )
    assert data["publishBatch"]["snapshot"] == {"price": {"amount": "2.00"}, "prices": {"nodes": [{"sku": "b"}]}}


async def test_the_checksum_does_not_depend_on_the_order_of_prices(retail: Api) -> None:
    prices = [row(f"{i}", f"{i}.50") for i in range(50)]
    checksums = {(await retail.submit("retail", rows))["batch"]["checksum"] for rows in (prices, prices[::-1])}
    assert len(checksums) == 1
    assert (await retail.submit("retail", [*prices[1:], row("0", "0.51")]))["batch"]["checksum"] not in checksums


async def test_the_same_key_returns_the_same_batch(retail: Api) -> None:
    first = await retail.submit("retail", [row("b")], "key")
    await retail.publish("retail", [row("c")])
    again = await retail.submit("retail", [row("b")], "key")
    assert again == first
    assert await retail.amounts("retail") == {"c": "1.00"}


async def test_concurrent_requests_with_the_same_key_create_one_version(retail: Api) -> None:
    payloads = await asyncio.gather(*(retail.submit("retail", [row("b")], "key") for _ in range(10)))
    assert {payload["batch"]["id"] for payload in payloads} == {payloads[0]["batch"]["id"]}
    assert {payload["batch"]["version"] for payload in payloads} == {2}
    assert await retail.publish("retail", [row("c")]) == 3


async def test_the_same_key_with_another_body_is_refused(retail: Api) -> None:
    await retail.submit("retail", [row("b")], "key", label="x")
    for prices, more in (([row("b", "1.01")], {"label": "x"}), ([row("b")], {"label": "y"})):
        payload = await retail.submit("retail", prices, "key", **more)
        assert (payload["batch"], codes(payload)) == (None, ["IDEMPOTENCY_KEY_REUSED"])
        assert payload["userErrors"][0]["path"] == ["input", "idempotencyKey"]
    assert await retail.amounts("retail") == {"b": "1.00"}


async def test_different_lists_can_use_the_same_key(retail: Api) -> None:
    await retail.create("other")
    first = await retail.submit("retail", [row("b")], "key")
    second = await retail.submit("other", [row("b")], "key")
    assert first["batch"]["id"] != second["batch"]["id"]


async def test_a_batch_is_published_only_on_the_version_it_expects(retail: Api) -> None:
    assert (await retail.submit("retail", [row("b")], expectedVersion=1))["batch"]["version"] == 2
    payload = await retail.submit("retail", [row("c")], expectedVersion=1)
    assert (payload["batch"], codes(payload)) == (None, ["CONFLICT"])
    assert payload["userErrors"][0]["path"] == ["input", "expectedVersion"]
    assert await retail.amounts("retail") == {"b": "1.00"}


async def test_only_one_of_several_batches_with_the_same_expected_version_is_published(retail: Api) -> None:
    payloads = await asyncio.gather(
        *(retail.submit("retail", [row("b", f"{i}.00")], expectedVersion=1) for i in range(8))
    )
    winners = [i for i, payload in enumerate(payloads) if payload["batch"] and payload["batch"]["state"] == "PUBLISHED"]
    assert len(winners) == 1
    assert [codes(payload) for payload in payloads if codes(payload)] == [["CONFLICT"]] * 7
    assert await retail.amounts("retail") == {"b": f"{winners[0]}.00"}


# ---------------------------------------------------------------- operations


async def rollback(api: Api, to: int, **more: Any) -> dict[str, Any]:
    order = {"priceList": "retail", "toVersion": to, "reason": "wrong", **more}
    payload: dict[str, Any] = (await api.data(ROLLBACK, input=order))["rollback"]
    return payload


async def test_a_rollback_makes_an_earlier_version_current_and_pins_it(retail: Api) -> None:
    await retail.publish("retail", [row("b")])
    payload = await rollback(retail, 1)
    assert payload == {
        "priceList": {"currentVersion": 1, "pin": {"version": 1, "reason": "wrong", "by": "anonymous"}},
        "userErrors": [],
    }
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_a_batch_after_a_rollback_is_held(retail: Api) -> None:
    await retail.publish("retail", [row("b")])
    await rollback(retail, 1)
    payload = await retail.submit("retail", [row("c")])
    assert (payload["batch"]["state"], payload["batch"]["version"], codes(payload)) == ("HELD", 3, [])
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_a_rollback_need_not_pin(retail: Api) -> None:
    await retail.publish("retail", [row("b")])
    assert (await rollback(retail, 1, pin=False))["priceList"] == {"currentVersion": 1, "pin": None}
    assert await retail.publish("retail", [row("c")]) == 3


async def test_a_rollback_can_go_to_any_version_that_was_current_and_forward_again(retail: Api) -> None:
    for sku in "bcd":
        await retail.publish("retail", [row(sku)])
    for version, sku in ((2, "b"), (1, "a"), (4, "d"), (3, "c")):
        await rollback(retail, version)
        assert await retail.amounts("retail") == {sku: "1.00"}


async def test_a_rollback_to_the_current_version_is_reported_and_changes_nothing(retail: Api) -> None:
    payload = await rollback(retail, 1)
    assert (payload["priceList"], codes(payload)) == (None, ["ALREADY_CURRENT"])
    price_list = (await retail.data('{ priceList(name: "retail") { pin { version } events { totalCount } } }'))[
        "priceList"
    ]
    assert price_list == {"pin": None, "events": {"totalCount": 2}}


async def test_an_impossible_rollback_is_refused(retail: Api) -> None:
    await retail.publish("retail", [row("b")])
    await rollback(retail, 1)
    await retail.submit("retail", [row("held")])
    for to, more, code in (
        (99, {}, "SNAPSHOT_NOT_FOUND"),
        (3, {}, "SNAPSHOT_NEVER_PUBLISHED"),
        (2, {"expectedVersion": 2}, "CONFLICT"),
        (2, {"reason": " "}, "INVALID_ARGUMENT"),
        (2, {"reason": "r" * 1001}, "INVALID_ARGUMENT"),
        (2, {"priceList": "nope"}, "PRICE_LIST_NOT_FOUND"),
    ):
        payload = await rollback(retail, to, **more)
        assert (payload["priceList"], codes(payload)) == (None, [code])
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_only_one_of_several_rollbacks_with_the_same_expected_version_succeeds(retail: Api) -> None:
    await retail.publish("retail", [row("b")])
    await retail.publish("retail", [row("c")])
    payloads = await asyncio.gather(*(rollback(retail, to, expectedVersion=3) for to in (1, 2, 1, 2)))
    assert sorted(code for payload in payloads for code in codes(payload)) == ["CONFLICT"] * 3


async def test_a_pin_keeps_a_version_current_until_it_is_removed(retail: Api) -> None:
    await retail.publish("retail", [row("b")])
    pinned = (await retail.data(PIN, input={"priceList": "retail", "version": 1, "reason": "audit"}))["pin"]
    pin = pinned["priceList"]["pin"]
    assert pin.pop("at")
    assert pinned["priceList"] == {
        "currentVersion": 1,
        "pin": {"version": 1, "reason": "audit", "by": "anonymous"},
    }
    assert (await retail.submit("retail", [row("c")]))["batch"]["state"] == "HELD"
    assert await retail.amounts("retail") == {"a": "1.00"}
    unpinned = (await retail.data(UNPIN, input={"priceList": "retail", "reason": "done"}))["unpin"]
    assert unpinned == {"priceList": {"currentVersion": 1, "pin": None}, "userErrors": []}
    assert await retail.publish("retail", [row("d")]) == 4


async def test_an_unpin_can_publish_the_newest_held_batch(retail: Api) -> None:
    await retail.data(PIN, input={"priceList": "retail", "version": 1, "reason": "audit"})
    older, newest = [(await retail.submit("retail", [row(sku)]))["batch"] for sku in "bc"]
    order = {"priceList": "retail", "reason": "done", "publishLatest": True}
    unpinned = (await retail.data(UNPIN, input=order))["unpin"]
    assert unpinned == {"priceList": {"currentVersion": 3, "pin": None}, "userErrors": []}
    assert await retail.amounts("retail") == {"c": "1.00"}
    states = (
        "query ($older: ID!, $newest: ID!) { older: batch(id: $older) { state } newest: batch(id: $newest) { state } }"
    )

    async def older_is_rejected() -> bool:
        found = await retail.data(states, older=older["id"], newest=newest["id"])
        assert found["newest"] == {"state": "PUBLISHED"}
        return bool(found["older"] == {"state": "REJECTED"})

    await until(older_is_rejected, "rejected")


async def test_a_pin_holds_only_the_expected_version(retail: Api) -> None:
    await retail.publish("retail", [row("b")])
    order = {"priceList": "retail", "version": 1, "reason": "audit"}
    assert codes((await retail.data(PIN, input={**order, "expectedVersion": 1}))["pin"]) == ["CONFLICT"]
    assert await retail.amounts("retail") == {"b": "1.00"}
    assert codes((await retail.data(PIN, input={**order, "expectedVersion": 2}))["pin"]) == []
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_an_unpin_that_expects_a_batch_must_publish_it(retail: Api) -> None:
    await retail.data(PIN, input={"priceList": "retail", "version": 1, "reason": "audit"})
    order = {"priceList": "retail", "reason": "done", "expectedBatch": "b"}
    [error] = (await retail.data(UNPIN, input=order))["unpin"]["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID_ARGUMENT", ["input", "expectedBatch"])


async def test_a_list_without_a_pin_cannot_be_unpinned(retail: Api) -> None:
    payload = (await retail.data(UNPIN, input={"priceList": "retail", "reason": "done"}))["unpin"]
    assert (payload["priceList"], codes(payload)) == (None, ["NOT_PINNED"])


async def test_mutations_of_one_request_run_one_after_the_other(retail: Api) -> None:
    await retail.publish("retail", [row("b")])
    data = await retail.data(
        """mutation {
          back: rollback(input: {priceList: "retail", toVersion: 1, reason: "r"}) { priceList { current { version } } }
          forth: rollback(input: {priceList: "retail", toVersion: 2, reason: "r"}) { priceList { current { version } } }
        }"""
    )
    assert data == {
        "back": {"priceList": {"current": {"version": 1}}},
        "forth": {"priceList": {"current": {"version": 2}}},
    }


async def test_the_process_that_publishes_counts_itself_among_those_that_serve(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create("retail")
    processes = api.runtime.store.processes
    await processes.beat({})
    monkeypatch.setattr(processes, "beat", AsyncMock())
    publish = PUBLISH.replace("id state", "id served { by of } state")
    order = {"priceList": "retail", "mode": "REPLACE", "idempotencyKey": "k", "prices": [row("a")]}
    batch = (await api.data(publish, input=order))["publishBatch"]["batch"]
    assert batch["served"] == {"by": 1, "of": 1}
