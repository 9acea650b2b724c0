"""A release is scheduled as a whole: its batches, and the next changes of their lists, have its instant."""

import datetime
from unittest.mock import ANY

import pytest

from storage import (
    BatchInRelease,
    BatchState,
    EventKind,
    InvalidArgument,
    ListFilter,
    PublishPolicy,
    ReleaseForbidden,
    ReleaseNotOpen,
    ReleaseState,
    Store,
)
from storage.batches.publish_time import InvalidPublishAt
from storage.batches.scheduled import Due, NextScheduled
from storage.catalog.releases import ReleaseNotFound
from tests.storage.commands import Commands
from tests.storage.factories import row, submit, versions
from tests.storage.releases.scheduled import LISTS, add, at, filled, newest_events, opened, published, revisions


@pytest.fixture(autouse=True)
async def _lists(store: Store) -> None:
    for name in LISTS:
        await versions(store, 1, name)


async def next_changes(store: Store) -> list[datetime.datetime | None]:
    return [(await store.price_lists.get(name)).next_change_at for name in LISTS]


async def instants(store: Store, release_id: str) -> set[datetime.datetime | None]:
    """The instants of a release and of its batches."""
    release = await store.releases.get(release_id)
    return {release.publish_at, *[(await store.batches.get(item.batch)).publish_at for item in release.items]}


async def test_the_instant_of_a_release_is_that_of_its_batches_and_the_next_change_of_its_lists(store: Store) -> None:
    release, instant = await filled(store), await at(store, 60)
    scheduled = await store.release_scheduling.schedule(release.id, instant, by="ops", reason="as planned")
    assert (scheduled.state, scheduled.publish_at) == (ReleaseState.SCHEDULED, instant)
    assert scheduled == await store.releases.get(release.id)
    assert await instants(store, release.id) == {instant}
    assert await next_changes(store) == [instant, instant]
    assert [each.id for each in await store.batches.upcoming("retail", 10)] == [release.items[0].batch]
    for event, item in zip(await newest_events(store), release.items, strict=True):
        assert (event.kind, event.by, event.reason) == (EventKind.RESCHEDULED, "ops", "as planned")
        assert (event.release, event.batch, event.moved) == (release.id, item.batch, False)


async def test_upcoming_batches_of_one_instant_come_before_releases_and_those_in_the_order_of_their_ids(
    store: Store,
) -> None:
    first, second, instant = await filled(store), await filled(store), await at(store, 60)
    for release in (second, first):
        await store.release_scheduling.schedule(release.id, instant, by="ops", reason="as planned")
    alone = [await submit(store, [row("b")], publish_at=instant) for _ in range(2)]
    expected = [*[batch.id for batch in alone], first.items[0].batch, second.items[0].batch]
    upcoming = await store.batches.upcoming("retail", 10)
    assert [each.id for each in upcoming] == expected
    for number, batch in enumerate(upcoming, 1):
        after = await store.batches.upcoming("retail", 10, Due(instant, batch.release, batch.id))
        assert [each.id for each in after] == expected[number:]
    assert await store.batches.next_scheduled("retail") == NextScheduled(alone[0].id, ANY, 1)


async def test_without_its_instant_a_release_is_open_again(store: Store) -> None:
    release = await filled(store)
    other = await submit(store, [row("b")], publish_at=await at(store, 120))
    await store.release_scheduling.schedule(release.id, await at(store, 60), by="ops", reason="as planned")
    stopped = await store.release_scheduling.schedule(release.id, None, by="ops", reason="the sale is off")
    assert (stopped.state, stopped.publish_at) == (ReleaseState.OPEN, None)
    assert await instants(store, release.id) == {None}
    assert await next_changes(store) == [other.publish_at, None]
    assert {event.reason for event in await newest_events(store)} == {"the sale is off"}


async def test_a_list_changes_next_when_its_earliest_batch_is_due(store: Store) -> None:
    release, instant = await filled(store), await at(store, 60)
    other = await submit(store, [row("b")], publish_at=await at(store, 30))
    await store.release_scheduling.schedule(release.id, instant, by="ops", reason="as planned")
    assert await next_changes(store) == [other.publish_at, instant]


async def test_nothing_changes_if_it_has_that_instant_already(store: Store) -> None:
    release, instant = await filled(store), await at(store, 60)
    scheduled = await store.release_scheduling.schedule(release.id, instant, by="ops", reason="as planned")
    before = await revisions(store)
    assert await store.release_scheduling.schedule(release.id, instant, by="ops", reason="again") == scheduled
    assert await revisions(store) == before


async def test_a_batch_that_joins_a_scheduled_release_has_its_instant(store: Store) -> None:
    release, instant = await opened(store), await at(store, 60)
    await store.release_scheduling.schedule(release.id, instant, by="ops", reason="as planned")
    batch = await add(store, release, "retail")
    assert (batch.publish_at, batch.is_scheduled) == (instant, True)
    assert await next_changes(store) == [instant, None]
    assert await store.due_publisher.publish_first_due("retail") is None


async def test_a_batch_of_a_release_has_no_schedule_of_its_own_but_is_approved_for_that_of_the_release(
    store: Store,
) -> None:
    release = await opened(store)
    batch = await add(store, release, "retail", publish=PublishPolicy.ON_APPROVAL)
    with pytest.raises(BatchInRelease, match="scheduleRelease"):
        await store.scheduling.reschedule(batch.id, await at(store, 60), by="ops", reason="later")
    approved = await store.scheduling.approve(batch.id, by="ops", reason="as agreed")
    assert (approved.state, approved.publish_at) == (BatchState.HELD, None)
    await store.release_scheduling.schedule(release.id, await at(store, 60), by="ops", reason="as planned")
    scheduled = await store.batches.get(batch.id)
    assert (scheduled.approval, scheduled.is_scheduled) == (approved.approval, True)
    assert scheduled.approval is not None


@pytest.mark.parametrize(
    "publish_at",
    [
        datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(2999, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(2030, 1, 1),
    ],
)
async def test_an_instant_that_batches_cannot_have_is_refused(store: Store, publish_at: datetime.datetime) -> None:
    release = await filled(store)
    with pytest.raises(InvalidPublishAt):
        await store.release_scheduling.schedule(release.id, publish_at, by="ops", reason="as planned")
    assert await store.releases.get(release.id) == release


async def test_only_an_unpublished_release_is_scheduled_by_those_who_may_operate_its_lists(store: Store) -> None:
    release, instant = await filled(store), await at(store, 60)
    some = ListFilter(names=frozenset({"retail"}))
    with pytest.raises(ReleaseForbidden):
        await store.release_scheduling.schedule(release.id, instant, by="ops", reason="x", operates=some)
    with pytest.raises(InvalidArgument):
        await store.release_scheduling.schedule(release.id, instant, by="ops", reason=" ")
    with pytest.raises(ReleaseNotFound):
        await store.release_scheduling.schedule("none", instant, by="ops", reason="x")
    assert await store.releases.get(release.id) == release
    ended = await published(store)
    with pytest.raises(ReleaseNotOpen):
        await store.release_scheduling.schedule(ended.id, instant, by="ops", reason="x")


async def test_scheduling_sends_the_same_commands_for_any_number_of_lists(
    watched: tuple[Store, Commands], store: Store
) -> None:
    watching, commands = watched
    sent, instant = list[list[object]](), await at(store, 60)
    await versions(store, 1, "third")
    for lists in (("retail",), ("third", "wholesale")):
        release = await filled(store, lists)
        with commands.counted() as counted:
            await watching.release_scheduling.schedule(release.id, instant, by="ops", reason="as planned")
        sent.append([next(iter(command)) for command in counted])
    assert sent[0] == sent[1]
