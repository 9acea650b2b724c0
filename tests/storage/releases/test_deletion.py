"""A list with a batch in a release that is not published yet is only deleted with force, and leaves the release."""

import pytest

from storage import ReleaseState, Store
from storage.maintenance.deletion import PriceListInUse
from tests.storage.factories import create, current, versions
from tests.storage.releases.scheduled import add, at, filled, published


@pytest.fixture(autouse=True)
async def _lists(store: Store) -> None:
    await create(store)
    await versions(store, 1, "wholesale")


async def test_a_list_in_an_unpublished_release_is_in_use(store: Store) -> None:
    release = await filled(store)
    with pytest.raises(PriceListInUse, match=release.id):
        await store.deleter.delete("retail", by="ops", reason="gone")
    await store.release_editor.discard(release.id, by="ops", reason="off")
    await store.deleter.delete("retail", by="ops", reason="gone")


async def test_a_list_that_is_deleted_with_force_leaves_its_releases_which_keep_the_others(store: Store) -> None:
    done, release = await published(store), await filled(store)
    await store.release_scheduling.schedule(release.id, await at(store, 60), by="ops", reason="as planned")
    await store.deleter.delete("retail", by="ops", reason="gone", force=True)
    left = await store.releases.get(release.id)
    assert (left.state, [item.price_list for item in left.items]) == (ReleaseState.SCHEDULED, ["wholesale"])
    assert await store.releases.get(done.id) == done
    await store.deleter.purge("retail")
    assert [await store.batches.find(each.batch) for each in release.items if each not in left.items] == [None]
    await create(store)
    await store.release_publisher.publish(release.id, by="ops")
    assert await current(store) is None
    assert await current(store, "wholesale") == 3


async def test_a_new_list_of_the_name_joins_the_release_anew(store: Store) -> None:
    release = await filled(store)
    await store.deleter.delete("retail", by="ops", reason="gone", force=True)
    await store.deleter.purge("retail")
    await create(store)
    batch = await add(store, release, "retail")
    item = (await store.releases.get(release.id)).item("retail")
    assert item is not None
    assert item.batch == batch.id
