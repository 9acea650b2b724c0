"""A process is killed while it publishes a release: all lists changed, or none did, and publishing again works."""

import pytest

from storage import BatchState, EventKind, ReleaseState, Store
from tests.storage.dying import run_until_killed
from tests.storage.factories import amounts, published, row
from tests.storage.releases import publish_and_die
from tests.storage.releases.factories import LISTS, all_current, filled, lists

pytestmark = pytest.mark.usefixtures("short_transactions")


@pytest.mark.parametrize(
    "point",
    [
        "ReleasePublication.publish:1:before",
        "SnapshotRepository.withdraw_all:1:after",
        "SnapshotRepository.add_all:1:after",
        "PriceListRepository.move_all:1:before",
        "PriceListRepository.move_all:1:after",
        "EventRepository.append_all:1:after",
        "SnapshotRepository.mark_all_published:1:after",
        "BatchRepository.advance_each_held:1:after",
        "ReleaseRepository.update:1:after",
        "ReleasePublisher._commit:2:after",
    ],
)
async def test_a_release_whose_process_was_killed_is_published_as_a_whole_or_not_at_all(
    mongodb_uri: str, store: Store, point: str
) -> None:
    await lists(store)
    opened = await filled(store)
    await published(store, [row("c", "7")], "books")  # the batch in the release needs a new version
    await run_until_killed(publish_and_die.main, mongodb_uri, store.db.name, opened.id, point)

    is_committed = point.startswith("ReleasePublisher")
    assert await all_current(store) == ([4, 2, 2] if is_committed else [3, 1, 1])
    stored = await store.releases.get(opened.id)
    assert stored.state is (ReleaseState.PUBLISHED if is_committed else ReleaseState.OPEN)

    done = await store.release_publisher.publish(opened.id, by="ann")
    assert done == stored if is_committed else done.state is ReleaseState.PUBLISHED
    assert await all_current(store) == [4, 2, 2]
    for item in done.items:
        assert await amounts(store, item.to_version or 0, item.price_list) == {"a": "9"}
        assert (await store.batches.get(item.batch)).state is BatchState.PUBLISHED
    for name in LISTS:
        kinds = [event.kind for event in await store.events.newest(name, 10)]
        assert kinds.count(EventKind.PUBLISHED) == (3 if name == "books" else 2)
    assert [finding async for finding in store.integrity_check().run()] == []
