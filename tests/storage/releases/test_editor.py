"""Creating and discarding releases."""

import datetime
from unittest.mock import patch

import pytest

from storage import BatchState, EventKind, ListFilter, ReleaseForbidden, ReleaseState, SnapshotState, Store
from storage.batches.publish_time import InvalidPublishAt
from storage.catalog.releases import ReleaseNotOpen
from storage.errors import IdempotencyKeyReused, InvalidArgument
from storage.releases import editor
from storage.releases.errors import TooManyOpenReleases
from tests.storage.factories import order, row, snapshot, source
from tests.storage.releases.factories import LISTS, all_current, filled, lists, release, wait


async def test_a_release_is_created_once_for_its_idempotency_key(store: Store, other_store: Store) -> None:
    instant = (await store.now()).replace(microsecond=0) + datetime.timedelta(hours=1)
    created = await store.release_editor.create("Spring", "k", by="ann", publish_at=instant)
    assert (created.name, created.state, created.publish_at) == ("Spring", ReleaseState.SCHEDULED, instant)
    await store.release_editor.discard(created.id, by="ann", reason="x")
    again = await other_store.release_editor.create("Spring", "k", by="ann", publish_at=instant)
    assert (again.id, again.state) == (created.id, ReleaseState.DISCARDED)
    assert (await store.release_editor.create("Autumn", "k", by="bob")).id != created.id
    for name, publish_at in (("Autumn", instant), ("Spring", None)):
        with pytest.raises(IdempotencyKeyReused):
            await store.release_editor.create(name, "k", by="ann", publish_at=publish_at)


@pytest.mark.parametrize(("name", "key"), [("", "k"), ("n" * 256, "k"), ("a\nb", "k"), ("  ", "k"), ("n", "")])
async def test_names_and_keys_are_short_and_printable(store: Store, name: str, key: str) -> None:
    with pytest.raises(InvalidArgument):
        await store.release_editor.create(name, key, by="ann")


async def test_a_release_is_not_scheduled_for_the_past(store: Store) -> None:
    with pytest.raises(InvalidPublishAt):
        await store.release_editor.create("Spring", "k", by="ann", publish_at=await store.now())


async def test_the_number_of_open_releases_is_limited(store: Store) -> None:
    first = await release(store, "first")
    with patch.object(editor, "MAX_OPEN_RELEASES", 1):
        with pytest.raises(TooManyOpenReleases):
            await release(store, "second")
        assert (await release(store, "first")).id == first.id
        await store.release_editor.discard(first.id, by="ann", reason="x")
        await release(store, "second")


async def test_discarding_a_release_rejects_its_batches(store: Store) -> None:
    await lists(store)
    opened = await filled(store)
    done = await store.release_editor.discard(opened.id, by="ann", reason="cancelled")
    assert (done.state, done.items) == (ReleaseState.DISCARDED, opened.items)
    for item in opened.items:
        batch = await store.batches.get(item.batch)
        assert batch.refusal is not None
        assert (batch.state, batch.refusal.code) == (BatchState.REJECTED, "RELEASE_DISCARDED")
        assert (await snapshot(store, 2, item.price_list)).state is SnapshotState.RETIRED
        [event] = await store.events.newest(item.price_list, 1)
        assert (event.kind, event.by, event.reason) == (EventKind.REJECTED, "ann", "cancelled")
        assert (event.release, event.batch, event.at) == (opened.id, item.batch, batch.finished_at)
        assert (await store.price_lists.get(item.price_list)).release is None
    assert await all_current(store) == [1, 1, 1]
    assert await store.release_editor.discard(opened.id, by="bob", reason="again") == done
    assert store.metrics.releases == {"discarded": 1}


async def test_a_discarded_batch_no_longer_changes_its_list(store: Store) -> None:
    await lists(store)
    instant = (await store.now()).replace(microsecond=0) + datetime.timedelta(hours=1)
    opened = await store.release_editor.create("Spring", "k", by="ann", publish_at=instant)
    await wait(store, opened, "books")
    done = await store.release_editor.discard(opened.id, by="ann", reason="cancelled")
    assert done.publish_at is None
    assert (await store.price_lists.get("books")).next_change_at is None


async def test_a_published_release_is_not_discarded_nor_one_with_lists_of_others(store: Store) -> None:
    await lists(store)
    opened = await filled(store)
    with pytest.raises(ReleaseForbidden):
        await store.release_editor.discard(
            opened.id, by="ann", reason="x", operates=ListFilter(names=frozenset(LISTS[1:]))
        )
    await store.release_publisher.publish(opened.id, by="ann")
    with pytest.raises(ReleaseNotOpen, match="PUBLISHED"):
        await store.release_editor.discard(opened.id, by="ann", reason="x")


async def test_releases_that_nobody_uses_are_discarded(store: Store) -> None:
    await lists(store)
    idle, empty, pending, used = [await release(store) for _ in range(4)]
    batch = await wait(store, idle, "books")
    unfinished = await store.multipart.open(order("games", release=pending.id))
    await store.multipart.append(unfinished.id, 0, await source([row("a")]), ())
    long_ago = await store.now() - datetime.timedelta(days=8)
    await store.db["releases"].update_many({"_id": {"$ne": used.id}}, {"$set": {"touchedAt": long_ago}})
    assert await store.release_editor.discard_idle(9) == 0
    assert await store.release_editor.discard_idle(7) == 2
    states = [(await store.releases.get(each.id)).state for each in (idle, empty, pending, used)]
    assert states == [ReleaseState.DISCARDED] * 2 + [ReleaseState.OPEN] * 2
    [event] = await store.events.newest("books", 1)
    assert (event.batch, event.by, event.reason) == (batch.id, "pricebook", "It was not used for 7 days.")
