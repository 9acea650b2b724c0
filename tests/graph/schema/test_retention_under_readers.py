"""Retention with concurrent readers: every reader can finish its version, and unused layers are dropped."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage import Snapshot, SnapshotState, Store
from storage.mongodb.deadlines import is_cancelled
from tests.graph.api import Api, open_settings, row, serving
from tests.graph.schema.test_retention import update
from tests.stack.clients import running
from tests.waiting import until

RETAINED_VERSIONS = 5
SKUS = 60
READERS = 6

PAGE = """
query ($after: String) {
  snapshot(priceList: "retail") {
    version
    prices(first: 7, after: $after) { nodes { sku amount } pageInfo { hasNextPage endCursor } }
  }
}"""


@pytest.fixture
async def retail(mongodb_uri: str, store: Store) -> AsyncIterator[Api]:
    """An application that expires versions within seconds, with the same steps that otherwise take a day."""
    settings = open_settings(
        mongodb_uri=mongodb_uri, mongodb_database=store.db.name, grace_seconds=2, restore_seconds=1
    )
    async with serving(settings) as api:
        api.runtime.store.expirer._settle /= 10
        api.runtime.store.garbage_collector._orphan_seconds = 2.0
        await api.create("retail")
        await update(api, versions=RETAINED_VERSIONS, days=0)
        yield api


async def publish(api: Api, version: int) -> None:
    """Publish a version whose amounts all equal its number, by a replacement or by a merge of all skus."""
    skus = [f"{number:03}" for number in range(SKUS)]
    mode = random.choice(["REPLACE", "MERGE", "MERGE"]) if version > 1 else "REPLACE"
    batch = (await api.submit("retail", [row(sku, f"{version}.00") for sku in skus], mode=mode))["batch"]
    assert (batch["state"], batch["version"]) == ("PUBLISHED", version), batch


async def read_version(api: Api) -> int:
    """Read a version slowly, page by page; check that the pages are of one version and complete. Return the version."""
    seen: list[dict[str, Any]] = []
    after, version = None, None
    while True:
        page = (await api.data(PAGE, after=after))["snapshot"]
        version = version or page["version"]
        assert page["version"] == version
        seen += page["prices"]["nodes"]
        after = page["prices"]["pageInfo"]["endCursor"]
        if not page["prices"]["pageInfo"]["hasNextPage"]:
            break
        await asyncio.sleep(random.uniform(0, 0.6))
    assert [price["sku"] for price in seen] == [f"{number:03}" for number in range(SKUS)]
    assert {price["amount"] for price in seen} == {f"{version}.00"}
    return int(version)


async def read_forever(api: Api, versions: list[int]) -> None:
    while not is_cancelled():
        versions.append(await read_version(api))


async def collect(api: Api) -> None:
    """Expire versions and collect garbage again and again, as the leader does."""
    store = api.runtime.store
    while not is_cancelled():
        await store.expirer.expire("retail", by="ops")
        await store.garbage_collector.collect()
        await asyncio.sleep(0.2)


async def run(api: Api, wanted: int) -> None:
    """Publish until `wanted` versions were read while others were published."""
    newest = 1
    await publish(api, newest)
    read: list[int] = []
    async with running([collect(api)]):
        async with running(read_forever(api, read) for _ in range(READERS)):
            while len({*read}) < wanted:
                newest += 1
                assert newest < 20 * wanted, f"only {len({*read})} versions were read"
                await publish(api, newest)
                await asyncio.sleep(0.1)
        assert newest > RETAINED_VERSIONS
        await until(lambda: is_collected(api, newest), "collected")


async def is_collected(api: Api, newest: int) -> bool:
    """Whether all versions but the newest have expired, and only the layers of those are left."""
    store = api.runtime.store
    manifests = await store.snapshots.get_many([("retail", version) for version in range(1, newest + 1)])
    found = [each for each in manifests if isinstance(each, Snapshot)]
    expired = newest - RETAINED_VERSIONS
    states = [SnapshotState.RETIRED] * expired + [SnapshotState.PUBLISHED] * RETAINED_VERSIONS
    layers = {layer for manifest in found[expired:] for layer in manifest.layer_ids}
    return [manifest.state for manifest in found] == states and {*await store.layer_writer.all()} == layers


async def test_no_reader_loses_its_version(retail: Api) -> None:
    await run(retail, 10)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_no_reader_loses_its_version_over_many_publishes(retail: Api) -> None:
    await run(retail, 60)
