"""A release that is due is published once, as a whole, by any process; what stands against it makes it OPEN again."""

import asyncio
from unittest.mock import patch

import pytest

from storage import BatchState, EventKind, Gates, Release, ReleaseState, Store
from storage.batches.publish_time import instant_text
from storage.catalog.transactions import MAX_REASON_LENGTH
from storage.maintenance import stand_by
from tests.storage import publish_release_and_die
from tests.storage.batches.due import set_gates
from tests.storage.dying import run_until_killed
from tests.storage.factories import current, order, row, submit, versions
from tests.storage.maintaining import working
from tests.storage.releases.scheduled import (
    LISTS,
    add,
    at,
    filled,
    newest_events,
    opened,
    schedule,
)
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("past_accepted")


@pytest.fixture(autouse=True)
async def _lists(store: Store) -> None:
    for name in LISTS:
        await versions(store, 1, name)


async def due(store: Store, minutes: float = -1, by: str = "planner") -> Release:
    """A release of all lists that is due, or not yet."""
    return await schedule(store, await filled(store), minutes, by)


async def until_state(store: Store, release: Release, state: ReleaseState) -> Release:
    async def reached() -> bool:
        return (await store.releases.get(release.id)).state is state

    await until(reached, state)
    return await store.releases.get(release.id)


async def assert_open_again(store: Store, release: Release) -> list[str]:
    """The release and its batches have no instant, and each list an event about it. Returns the reasons of these."""
    opened_again = await store.releases.get(release.id)
    assert (opened_again.state, opened_again.publish_at) == (ReleaseState.OPEN, None)
    assert opened_again.items == release.items
    reasons = []
    for event, item in zip(await newest_events(store), release.items, strict=True):
        batch = await store.batches.get(item.batch)
        assert (batch.state, batch.publish_at) == (BatchState.HELD, None)
        assert (event.kind, event.release, event.batch) == (EventKind.HELD, release.id, batch.id)
        assert event.reason is not None
        assert batch.findings[-1].message == event.reason
        assert (await store.price_lists.get(item.price_list)).next_change_at is None
        assert await current(store, item.price_list) == 1
        reasons.append(event.reason)
    return reasons


# Published


async def test_a_release_that_is_due_is_published_by_those_who_scheduled_it(store: Store) -> None:
    release = await due(store, by="ops")
    assert release.publish_at is not None
    assert await store.due_releases.publish(release.id)
    done = await store.releases.get(release.id)
    assert (done.state, done.publish_at) == (ReleaseState.PUBLISHED, release.publish_at)
    assert [await current(store, name) for name in LISTS] == [2, 2]
    for event in await newest_events(store):
        assert (event.kind, event.by, event.release) == (EventKind.PUBLISHED, "ops", release.id)
        assert event.reason == f"It was scheduled for {instant_text(release.publish_at)}."
        assert (await store.price_lists.get(event.price_list)).next_change_at is None
    assert sum(store.metrics.lateness.counts) == 1, "a release counts once"
    assert not await store.due_releases.publish(release.id)
    assert sum(store.metrics.lateness.counts) == 1


async def test_no_release_is_published_early_and_no_batch_without_its_release(store: Store) -> None:
    release = await due(store, 60)
    assert not await store.due_releases.publish(release.id)
    assert await store.releases.get(release.id) == release
    late = await schedule(store, release, -1)
    assert await store.due_publisher.publish_first_due("retail") is None
    assert await store.releases.get(release.id) == late


async def test_processes_publish_what_is_due_once_and_in_time(store: Store, other_store: Store) -> None:
    async with working(store), working(other_store):
        release = await due(store, 0.01)
        done = await until_state(store, release, ReleaseState.PUBLISHED)
    assert done.published_at is not None
    assert release.publish_at is not None
    assert done.published_at >= release.publish_at
    for name in LISTS:
        events = [each for each in await store.events.newest(name, 100) if each.release == release.id]
        assert [each.kind for each in events].count(EventKind.PUBLISHED) == 1
    assert sum(sum(each.metrics.lateness.counts) for each in (store, other_store)) == 1


async def test_the_lists_of_a_release_share_its_publishing(store: Store) -> None:
    release, runs = await due(store), store.worker._publications._publisher._release_runs
    with patch.object(store.due_releases, "publish", wraps=store.due_releases.publish) as publish:
        done = await asyncio.gather(*(runs.publish(release.id, asyncio.Event()) for _ in LISTS))
    assert done == [True, True]
    publish.assert_called_once_with(release.id)
    assert not await runs.publish(release.id, asyncio.Event()), "it is not due any more"


async def test_a_process_that_holds_the_lock_and_does_nothing_is_not_waited_for(store: Store) -> None:
    release = await due(store)
    async with store.locks.held(f"release/{release.id}") as token:
        assert token is not None
        async with working(store):
            await until_state(store, release, ReleaseState.PUBLISHED)


@pytest.mark.usefixtures("short_transactions")
async def test_a_process_that_dies_while_it_publishes_leaves_all_of_it_to_another(
    store: Store, mongodb_uri: str
) -> None:
    release, point = await due(store), "EventRepository.append_all:1:after"
    await run_until_killed(publish_release_and_die.main, mongodb_uri, store.db.name, release.id, point)
    assert [await current(store, name) for name in LISTS] == [1, 1]
    assert await store.due_releases.publish(release.id)
    assert [await current(store, name) for name in LISTS] == [2, 2]


# In which order


async def test_a_batch_of_one_of_its_lists_that_was_due_earlier_goes_first(store: Store) -> None:
    earlier = await submit(store, [row("a", "2")], "wholesale", publish_at=await at(store, -2))
    release = await due(store)
    assert not await store.due_releases.publish(release.id)
    async with working(store):
        await until_state(store, release, ReleaseState.PUBLISHED)
    assert (await store.batches.get(earlier.id)).version == 2
    done = await store.releases.get(release.id)
    assert [item.from_version for item in done.items] == [1, 2]


async def test_releases_that_are_due_at_once_go_in_the_order_of_their_creation_in_every_list(store: Store) -> None:
    first, second, instant = await opened(store, "first"), await opened(store, "second"), await at(store, -1)
    for release, name in ((second, "retail"), (first, "retail"), (first, "wholesale"), (second, "wholesale")):
        await add(store, release, name)
    for release in (second, first):
        await store.release_scheduling.schedule(release.id, instant, by="ops", reason="as planned")
    assert not await store.due_releases.publish(second.id)
    async with working(store):
        await until_state(store, second, ReleaseState.PUBLISHED)
    done = [await store.releases.get(each.id) for each in (first, second)]
    assert [[item.from_version for item in each.items] for each in done[:1]] == [[1, 1]]
    assert [item.from_version for item in done[1].items] == [item.to_version for item in done[0].items]


# Held


async def test_a_release_is_open_again_if_something_stands_against_it(store: Store) -> None:
    release = await due(store)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    assert await store.due_releases.publish(release.id)
    about_retail, about_wholesale = await assert_open_again(store, release)
    assert "'retail'" in about_retail
    assert "pinned" in about_retail
    assert "retail" not in about_wholesale, "its readers may not know the other list"
    assert "1 (PINNED)" in about_wholesale
    assert max(map(len, (about_retail, about_wholesale))) <= MAX_REASON_LENGTH
    assert dict(store.metrics.schedules_held) == {("retail", "pin"): 1}
    assert sum(store.metrics.lateness.counts) == 0
    assert not await store.due_releases.publish(release.id)


async def test_gates_and_batches_in_progress_stand_against_it(store: Store) -> None:
    release = await due(store)
    await set_gates(store, Gates(min_size=2))
    await store.multipart.open(order("wholesale", release=release.id))
    async with working(store):
        await until_state(store, release, ReleaseState.OPEN)
    await assert_open_again(store, release)
    assert dict(store.metrics.schedules_held) == {("retail", "gate"): 1, ("wholesale", "not_sealed"): 1}


async def test_a_release_that_fails_each_time_is_open_again(store: Store) -> None:
    release = await due(store)
    with patch.object(store.snapshots, "mark_all_published", side_effect=ValueError("secret")):
        async with working(store):
            await until_state(store, release, ReleaseState.OPEN)
    reasons = await assert_open_again(store, release)
    assert all("unexpected error" in reason and "secret" not in reason for reason in reasons)
    assert sum(store.metrics.schedules_held.values()) == 1, "a release counts once"


async def test_batches_of_a_release_that_cannot_be_read_are_held_for_review(store: Store) -> None:
    release = await due(store)
    await store.db["releases"].update_one({"_id": release.id}, {"$set": {"name": 7}})
    async with working(store):

        async def held() -> bool:
            found = [await store.batches.get(item.batch) for item in release.items]
            return not any(batch.publish_at for batch in found)

        await until(held, "held for review")


async def test_late_batches_of_a_release_count_as_one(store: Store) -> None:
    await due(store, -60)
    await submit(store, [row("b")], publish_at=await at(store, -50))
    assert await store.batches.count_overdue(stand_by.STAND_BY_SECONDS) == 2


async def test_a_change_at_the_same_moment_is_not_overwritten(store: Store) -> None:
    release = await due(store)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    later, publisher = await at(store, 60), store.due_releases._publisher
    original = publisher.publish

    async def publish(release_id: str, *, by: str, reason: str) -> Release:
        try:
            return await original(release_id, by=by, reason=reason)
        finally:
            await store.release_scheduling.schedule(release.id, later, by="ops", reason="later")

    with patch.object(publisher, "publish", publish):
        assert not await store.due_releases.publish(release.id)
    assert (await store.releases.get(release.id)).publish_at == later
