"""Refusals of releases: one error for each list and reason, and nothing changes."""

import datetime
from typing import Any

import pytest

from tests.graph.api import ROLLBACK, Api, codes, row
from tests.graph.releases import change, create, find, send
from tests.graph.sockets import connection

CREATE = "mutation ($i: CreatePriceListInput!) { createPriceList(input: $i) { userErrors { code } } }"
DELETE = "mutation ($i: DeletePriceListInput!) { deletePriceList(input: $i) { userErrors { code } } }"
PIN = "mutation ($i: PinInput!) { pin(input: $i) { userErrors { code } } }"
OPEN = "mutation ($i: OpenBatchInput!) { openBatch(input: $i) { batch { id } userErrors { code message path } } }"
RESCHEDULE = """mutation ($i: RescheduleBatchInput!) {
  rescheduleBatch(input: $i) { batch { id } userErrors { code message path } } }"""
APPROVE = "mutation ($i: ReviewBatchInput!) { approveBatch(input: $i) { batch { state } userErrors { code } } }"


def objections(payload: dict[str, Any]) -> dict[str, str]:
    """Return the code of each list that stood against a change; fail if a message does not name its list."""
    errors = payload["userErrors"]
    for error in errors:
        assert error["path"][:2] == ["input", "release"]
        assert error["path"][2] in error["message"]
    return {error["path"][2]: error["code"] for error in errors}


async def shop(api: Api, *names: str) -> None:
    """Create lists with a version each."""
    await api.create(*names)
    for name in names:
        await api.publish(name, [row("a", "1")])


async def test_all_that_stands_against_publishing_is_told_list_by_list(api: Api) -> None:
    await shop(api, "approval", "free", "moved", "pinned", "unsealed")
    await api.data(CREATE, i={"name": "gated", "gates": {"maxPriceChangePercent": "10"}})
    await api.publish("gated", [row("a", "1")])
    release = await create(api)
    for name in ("free", "gated", "pinned"):
        await send(api, name, release)
    await send(api, "moved", release, expectedVersion=1)
    await send(api, "approval", release, publish="ON_APPROVAL")
    opened = {"priceList": "unsealed", "mode": "MERGE", "idempotencyKey": "o", "release": release}
    await api.data(OPEN, i=opened)
    await api.publish("moved", [row("a", "2")])
    await api.data(PIN, i={"priceList": "pinned", "version": 1, "reason": "x"})

    payload = await change(api, "publishRelease", release=release)
    assert objections(payload) == {
        "approval": "GATE_HELD",
        "gated": "GATE_HELD",
        "moved": "CONFLICT",
        "pinned": "PINNED",
        "unsealed": "BATCH_NOT_SEALED",
    }
    assert payload["release"] == await find(api, release)
    assert payload["release"]["state"] == "OPEN"
    assert await api.amounts("free") == {"a": "1"}


async def test_approved_batches_are_published_with_their_release(api: Api) -> None:
    await shop(api, "b2b")
    release = await create(api)
    batch = (await send(api, "b2b", release, publish="ON_APPROVAL"))["batch"]["id"]
    approved = (await api.data(APPROVE, i={"batch": batch, "reason": "fine"}))["approveBatch"]
    assert approved == {"batch": {"state": "HELD"}, "userErrors": []}
    assert codes(await change(api, "publishRelease", release=release)) == []
    assert await api.amounts("b2b") == {"a": "9"}


async def test_the_versions_that_the_caller_expects_replace_those_of_the_batches(api: Api) -> None:
    await shop(api, "b2b", "b2c")
    release = await create(api)
    await send(api, "b2b", release, expectedVersion=1)
    await send(api, "b2c", release)
    await api.publish("b2b", [row("a", "2")])
    current = (await api.data('{ priceList(name: "b2b") { currentVersion } }'))["priceList"]["currentVersion"]
    for other in ({"version": 2}, {}):
        expected: list[dict[str, Any]] = [{"priceList": "b2c", **other}]
        payload = await change(api, "publishRelease", release=release, expected=expected)
        assert objections(payload) == {"b2b": "CONFLICT", "b2c": "CONFLICT"}
    expected = [{"priceList": "b2b", "version": current}, {"priceList": "b2c", "version": 1}]
    assert codes(await change(api, "publishRelease", release=release, expected=expected)) == []


@pytest.mark.parametrize("expected", [["b2b", "b2b"], ["other"]])
async def test_an_expectation_must_be_of_a_list_of_the_release_and_the_only_one(api: Api, expected: list[str]) -> None:
    await shop(api, "b2b", "other")
    release = await create(api)
    await send(api, "b2b", release)
    named = [{"priceList": name, "version": 1} for name in expected]
    payload = await change(api, "publishRelease", release=release, expected=named)
    assert codes(payload) == ["INVALID_ARGUMENT"]
    assert payload["userErrors"][0]["path"][:2] == ["input", "expected"]


async def test_all_that_stands_against_a_rollback_is_told_list_by_list(api: Api) -> None:
    await shop(api, "deleted", "free", "moved")
    await api.create("first")
    release = await create(api)
    for name in ("deleted", "first", "free", "moved"):
        await send(api, name, release)
    assert codes(await change(api, "publishRelease", release=release)) == []
    await api.publish("moved", [row("a", "3")])
    force = {"name": "deleted", "confirmName": "deleted", "reason": "x", "force": True}
    await api.data(DELETE, i=force)
    payload = await change(api, "rollbackRelease", release=release, reason="x")
    assert objections(payload) == {
        "deleted": "PRICE_LIST_NOT_FOUND",
        "first": "NO_EARLIER_VERSION",
        "moved": "CONFLICT",
    }
    assert (payload["release"]["state"], await api.amounts("free")) == ("PUBLISHED", {"a": "9"})
    items = {item["priceList"]["name"] for item in payload["release"]["items"]}
    assert items == {"first", "free", "moved"}, "a deleted list is left out"


async def test_a_change_that_does_not_fit_the_state_is_refused(api: Api) -> None:
    await shop(api, "b2b")
    release = await create(api)
    empty = await change(api, "publishRelease", release=release)
    assert (codes(empty), empty["userErrors"][0]["path"]) == (["RELEASE_EMPTY"], ["input", "release"])
    assert codes(await change(api, "rollbackRelease", release=release, reason="x")) != []
    await send(api, "b2b", release)
    await change(api, "publishRelease", release=release)
    for name, fields in (("scheduleRelease", {"publishAt": None}), ("discardRelease", {})):
        payload = await change(api, name, release=release, reason="x", **fields)
        assert (codes(payload), payload["release"]) == (["RELEASE_NOT_OPEN"], None)
        assert "PUBLISHED" in payload["userErrors"][0]["message"]


async def test_instants_are_checked_as_those_of_batches(api: Api) -> None:
    release = await create(api)
    for instant in ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"):
        for name, fields in (
            ("createRelease", {"name": "x", "idempotencyKey": instant}),
            ("scheduleRelease", {"release": release, "reason": "x"}),
        ):
            payload = await change(api, name, publishAt=instant, **fields)
            assert (codes(payload), payload["userErrors"][0]["path"]) == (
                ["INVALID_PUBLISH_AT"],
                ["input", "publishAt"],
            )
    missing = await change(api, "scheduleRelease", release=release, reason="x")
    assert (codes(missing), missing["userErrors"][0]["path"]) == (["INVALID_ARGUMENT"], ["input", "publishAt"])


async def test_a_batch_must_fit_into_its_release(api: Api) -> None:
    await shop(api, "b2b")
    release, discarded = await create(api), await create(api)
    await change(api, "discardRelease", release=discarded, reason="x")
    at = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).isoformat()
    for target, more, code in (
        (release, {"publishAt": at}, "INVALID_ARGUMENT"),
        (release, {"publish": "DRY_RUN"}, "INVALID_ARGUMENT"),
        (discarded, {}, "RELEASE_NOT_OPEN"),
        ("0" * 24, {}, "RELEASE_NOT_FOUND"),
    ):
        sent = await send(api, "b2b", target, **more)
        fields = {"priceList": "b2b", "mode": "MERGE", "idempotencyKey": "o", "release": target, **more}
        opened = (await api.data(OPEN, i=fields))["openBatch"]
        for payload in (sent, opened):
            assert codes(payload) == [code]
            assert payload["userErrors"][0]["path"] == ["input", "release"]
            assert payload["batch"] is None


async def test_a_batch_is_scheduled_only_with_its_release(api: Api) -> None:
    await shop(api, "b2b")
    batch = (await send(api, "b2b", await create(api)))["batch"]["id"]
    fields = {"batch": batch, "publishAt": None, "reason": "x"}
    assert codes((await api.data(RESCHEDULE, i=fields))["rescheduleBatch"]) == ["BATCH_IN_RELEASE"]


async def test_a_refused_release_is_not_seen_by_subscribers(api: Api) -> None:
    await shop(api, "b2b", "pinned")
    release = await create(api)
    for name in ("b2b", "pinned"):
        await send(api, name, release)
    await api.data(PIN, i={"priceList": "pinned", "version": 1, "reason": "x"})
    async with connection(api.app) as socket:
        await socket.init()
        query = 'subscription { published(priceList: "b2b") { version kind } }'
        socket.send(id="1", type="subscribe", payload={"query": query})
        assert (await socket.receive())["payload"]["data"]["published"]["version"] == 1
        assert objections(await change(api, "publishRelease", release=release)) == {"pinned": "PINNED"}
        await api.publish("b2b", [row("a", "2")])
        await api.data(ROLLBACK, input={"priceList": "b2b", "toVersion": 1, "reason": "x"})
        kinds = [(await socket.receive())["payload"]["data"]["published"]["kind"] for _ in range(2)]
        assert kinds == ["PUBLISHED", "ROLLED_BACK"]
