"""Retention in the API: settings, dry runs, expiration and restore; versions being read are kept."""

import datetime
from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage import Store
from tests.graph.api import Api, codes, open_settings, row, serving
from tests.graph.schema.test_bounds import IN_A_YEAR
from tests.waiting import until

UPDATE = """
mutation ($input: UpdatePriceListInput!) {
  updatePriceList(input: $input) { priceList { retention { versions days thin } } userErrors { code path } }
}"""
RETAIN = """
mutation ($input: RetainInput!) {
  retain(input: $input) {
    retirements { version reason restorableUntil } drops { layer reason bytes } kept { version until reason }
    userErrors { code }
  }
}"""
KEEP = """
mutation ($input: KeepVersionInput!) {
  keepVersion(input: $input) { priceList { currentVersion } userErrors { code message path } }
}"""
KEPT = 'query ($v: Int!) { snapshot(priceList: "retail", version: $v) { keptUntil } }'
RESTORE = """
mutation ($input: RestoreInput!) { restore(input: $input) { priceList { currentVersion } userErrors { code } } }"""
PRICE = 'query ($v: Int!) { snapshot(priceList: "retail", version: $v) { price(sku: "a") { amount } } }'


@pytest.fixture
async def retail(mongodb_uri: str, store: Store) -> AsyncIterator[Api]:
    """An application with a list of three versions that keeps only the newest, without grace time."""
    settings = open_settings(
        mongodb_uri=mongodb_uri, mongodb_database=store.db.name, grace_seconds=0, restore_seconds=3600
    )
    async with serving(settings) as api:
        api.runtime.store.expirer._settle *= 0
        await api.create("retail")
        await update(api, versions=1, days=0)
        for amount in ("1.00", "2.00", "3.00"):
            await api.publish("retail", [row("a", amount)])
        yield api


async def update(api: Api, **retention: int | None) -> dict[str, Any]:
    data = await api.data(UPDATE, input={"name": "retail", "retention": retention})
    payload: dict[str, Any] = data["updatePriceList"]
    return payload


async def retain(api: Api, **more: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await api.data(RETAIN, input={"priceList": "retail", **more}))["retain"]
    assert payload["userErrors"] == []
    return payload


async def expire_all(api: Api) -> list[int]:
    """Expire every version that can expire, despite pending heartbeats about reads. Return the versions."""
    expired: list[int] = []

    async def is_done() -> bool:
        expired.extend(each["version"] for each in (await retain(api))["retirements"])
        return not (await retain(api, dryRun=True))["retirements"]

    await until(is_done, "expired")
    return sorted(expired)


async def test_a_list_keeps_thirty_versions_and_thirty_days_by_default(api: Api) -> None:
    await api.create("plain")
    query = '{ priceList(name: "plain") { retention { versions days thin } } }'
    assert (await api.data(query))["priceList"] == {"retention": {"versions": 30, "days": 30, "thin": False}}


async def test_an_update_keeps_fields_that_are_left_out(retail: Api) -> None:
    for change, expected in (
        ({"days": 2}, {"versions": 1, "days": 2, "thin": False}),
        ({"thin": True}, {"versions": 1, "days": 2, "thin": True}),
        ({"versions": 5}, {"versions": 5, "days": 2, "thin": True}),
        ({}, {"versions": 5, "days": 2, "thin": True}),
    ):
        assert (await update(retail, **change))["priceList"]["retention"] == expected


async def test_an_invalid_retention_is_refused(retail: Api) -> None:
    payload = await update(retail, versions=0)
    assert (codes(payload), payload["userErrors"][0]["path"]) == (
        ["INVALID_ARGUMENT"],
        ["input", "retention", "versions"],
    )


async def test_a_dry_run_only_reports_what_a_run_expires(retail: Api) -> None:
    async def is_planned() -> bool:
        plan = (await retain(retail, dryRun=True))["retirements"]
        return [(each["version"], each["restorableUntil"] is not None) for each in plan] == [(1, True), (2, True)]

    # A background task records that version 2 was current, which counts as a read just now.
    await until(is_planned, "planned")
    assert await retail.error_codes(PRICE, v=1) == []
    assert await expire_all(retail) == [1, 2]
    assert await retail.error_codes(PRICE, v=1) == ["SNAPSHOT_EXPIRED"]
    assert await retail.amounts("retail") == {"a": "3.00"}


async def test_an_expired_version_can_be_restored(retail: Api) -> None:
    await expire_all(retail)
    order = {"priceList": "retail", "version": 1, "reason": "an audit"}
    assert codes((await retail.data(RESTORE, input=order))["restore"]) == []
    assert (await retail.data(PRICE, v=1))["snapshot"] == {"price": {"amount": "1.00"}}
    assert codes((await retail.data(RESTORE, input=order))["restore"]) == ["NOT_RETIRED"]


async def test_retention_of_an_unknown_list_is_refused(retail: Api) -> None:
    payload = (await retail.data(RETAIN, input={"priceList": "nope"}))["retain"]
    assert codes(payload) == ["PRICE_LIST_NOT_FOUND"]


async def forget_reads(store: Store) -> None:
    await store.db["snapshots"].update_many({}, {"$unset": {"readAt": ""}})


async def last_read(store: Store, version: int) -> Any:
    found = await store.snapshots.get("retail", version)
    assert found is not None
    return found.read_at


async def test_a_read_of_a_version_is_recorded_with_the_next_heartbeat(retail: Api) -> None:
    store = retail.runtime.store
    await until(lambda: is_recorded(store, 2), "recorded when the version stopped being current")
    await forget_reads(store)
    await retail.data(PRICE, v=2)
    await until(lambda: is_recorded(store, 2), "recorded")
    assert await last_read(store, 1) is None


async def is_recorded(store: Store, version: int) -> bool:
    return await last_read(store, version) is not None


async def test_a_read_of_an_expiring_version_is_recorded_at_once(retail: Api) -> None:
    store = retail.runtime.store
    await until(lambda: is_recorded(store, 2), "recorded when the version stopped being current")
    await forget_reads(store)
    await store.expirations.mark("retail", [1])
    retail.runtime.pointers.reads.take()
    await retail.data(PRICE, v=1)
    assert await is_recorded(store, 1)


async def keep(api: Api, version: int, days: float | None) -> str | None:
    """Keep a version for some days, or no longer, and return until when."""
    until = days and (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).isoformat()
    order = {"priceList": "retail", "version": version, "until": until, "reason": "an audit"}
    payload = (await api.data(KEEP, input=order))["keepVersion"]
    assert payload == {"priceList": {"currentVersion": 3}, "userErrors": []}
    kept: str | None = (await api.data(KEPT, v=version))["snapshot"]["keptUntil"]
    return kept


async def test_a_kept_version_does_not_expire_and_a_dry_run_tells_why(retail: Api) -> None:
    until = await keep(retail, 1, 30)
    assert until is not None
    plan = await retain(retail, dryRun=True)
    assert plan["kept"] == [{"version": 1, "until": until, "reason": "an audit"}]
    assert 1 not in [each["version"] for each in plan["retirements"]]
    assert await expire_all(retail) == [2]
    assert (await retain(retail))["kept"] == plan["kept"]
    assert await keep(retail, 1, None) is None
    assert await expire_all(retail) == [1]
    assert (await retain(retail, dryRun=True))["kept"] == []


async def test_until_when_the_current_version_is_kept_is_known_in_the_next_request(retail: Api) -> None:
    query = '{ snapshot(priceList: "retail") { version keptUntil } }'
    assert (await retail.data(query))["snapshot"] == {"version": 3, "keptUntil": None}
    until = await keep(retail, 3, 1)
    assert (await retail.data(query))["snapshot"] == {"version": 3, "keptUntil": until}
    listed = '{ priceList(name: "retail") { snapshots(first: 3) { nodes { version keptUntil } } } }'
    nodes = (await retail.data(listed))["priceList"]["snapshots"]["nodes"]
    assert [each["keptUntil"] for each in nodes] == [until, None, None]


async def test_the_event_of_a_kept_version_has_the_reason(retail: Api) -> None:
    await keep(retail, 1, 30)
    events = (
        '{ priceList(name: "retail") { events(first: 1) { nodes { kind version reason fromVersion toVersion } } } }'
    )
    [event] = (await retail.data(events))["priceList"]["events"]["nodes"]
    assert event == {"kind": "KEPT", "version": 1, "reason": "an audit", "fromVersion": 3, "toVersion": 3}


@pytest.mark.parametrize("until", ["2020-01-01T00:00:00Z", "2200-01-01T00:00:00Z"])
async def test_an_instant_that_cannot_be_is_refused(retail: Api, until: str) -> None:
    order = {"priceList": "retail", "version": 1, "until": until, "reason": "an audit"}
    [error] = (await retail.data(KEEP, input=order))["keepVersion"]["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID_UNTIL", ["input", "until"])


async def test_a_version_is_kept_no_longer_only_by_an_explicit_null(retail: Api) -> None:
    until = await keep(retail, 1, 30)
    order = {"priceList": "retail", "version": 1, "reason": "an audit"}
    [error] = (await retail.data(KEEP, input=order))["keepVersion"]["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID_ARGUMENT", ["input", "until"])
    assert error["message"].endswith("Give an instant, or null to keep the version no longer.")
    assert (await retail.data(KEPT, v=1))["snapshot"]["keptUntil"] == until
    assert await keep(retail, 1, None) is None


async def test_a_version_that_expired_or_does_not_exist_is_not_kept(retail: Api) -> None:
    await expire_all(retail)
    for version, instant, code in (
        (1, IN_A_YEAR, "SNAPSHOT_EXPIRED"),
        (9, IN_A_YEAR, "SNAPSHOT_NOT_FOUND"),
        (3, None, "NOT_KEPT"),
    ):
        order = {"priceList": "retail", "version": version, "until": instant, "reason": "an audit"}
        assert codes((await retail.data(KEEP, input=order))["keepVersion"]) == [code]


async def test_a_label_keeps_nothing(retail: Api) -> None:
    await retail.submit("retail", [row("a", "4.00")], label="spring")
    await retail.publish("retail", [row("a", "5.00")])
    assert await expire_all(retail) == [1, 2, 3, 4]
