"""Retention in the API: settings, dry runs, expiration and restore; versions being read are kept."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage import Store
from tests.graph.api import Api, codes, open_settings, row, serving
from tests.waiting import until

UPDATE = """
mutation ($input: UpdatePriceListInput!) {
  updatePriceList(input: $input) { priceList { retention { versions days thin } } userErrors { code path } }
}"""
RETAIN = """
mutation ($input: RetainInput!) {
  retain(input: $input) {
    retirements { version reason restorableUntil } drops { layer reason bytes } userErrors { code }
  }
}"""
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
