"""Every process publishes what is due: in time, once, without a process that hangs, after errors, with little work."""

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from unittest.mock import Mock, patch

import pytest
from pymongo.errors import AutoReconnect

from storage import Batch, BatchState, Corrupt, EventKind, Store
from storage.batches import admission
from storage.catalog.price_lists import PriceList
from storage.maintenance import publication_schedule, stand_by
from storage.maintenance.publication_schedule import PublicationSchedule
from storage.mongodb.database_clock import DatabaseClock
from storage.mongodb.server_time import server_time
from tests.storage.commands import Commands
from tests.storage.factories import break_a_block, create, current, forget_blocks, row, submit, versions
from tests.storage.maintaining import working
from tests.waiting import until


async def scheduled(store: Store, seconds: float, price_list: str = "retail", amount: str = "9") -> Batch:
    """A batch that is due in some seconds, or was."""
    at = await server_time(store.client) + timedelta(seconds=seconds)
    with patch.object(admission, "check_publish_at"):
        batch = await submit(store, [row("a", amount)], price_list, publish_at=at)
    assert batch.is_scheduled, batch
    return batch


async def damage(store: Store, batch: Batch) -> None:
    """Make the record of a batch unreadable."""
    await store.db["batches"].update_one({"_id": batch.id}, {"$set": {"mode": 7}})


async def until_published(store: Store, *batches: Batch, seconds: float = 30) -> list[datetime.timedelta]:
    """Wait until batches are published, and return how late each was."""

    async def published() -> bool:
        found = [await store.batches.get(batch.id) for batch in batches]
        return all(each.state is BatchState.PUBLISHED for each in found)

    await until(published, "published", seconds=seconds)
    found = [await store.batches.get(batch.id) for batch in batches]
    return [each.finished_at - each.publish_at for each in found if each.finished_at and each.publish_at]


async def test_batches_are_published_when_they_are_due(store: Store) -> None:
    await versions(store, 1)
    await versions(store, 1, "other")
    async with working(store):
        batches = [await scheduled(store, 0.5), await scheduled(store, 0.6, "other"), await scheduled(store, 0.7)]
        late = await until_published(store, *batches)
    assert all(each >= timedelta(0) for each in late)


async def test_a_process_that_starts_late_publishes_what_became_due(store: Store) -> None:
    await versions(store, 1)
    batches = [await scheduled(store, -60, amount="1"), await scheduled(store, -30, amount="2")]
    async with working(store):
        await until_published(store, *batches)
    assert await current(store) == 4  # the second was renumbered, because it was sealed when version 1 was current


async def test_a_process_learns_of_schedules_by_polling_when_no_pointer_is_pushed(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 0.2)
    store.worker.start()  # and not the watcher
    try:
        await until_published(store, batch)
    finally:
        await store.worker.stop()


async def test_several_processes_publish_each_batch_once(store: Store, other_store: Store) -> None:
    for number in range(4):
        await create(store, f"list-{number}")
    async with working(store), working(other_store):
        batches = [
            await scheduled(store, 0.5 + order / 10, f"list-{number}", str(order))
            for order in range(4)
            for number in range(4)
        ]
        await until_published(store, *batches)
    for number in range(4):
        events = await store.events.newest(f"list-{number}", 100)
        published = [event.batch for event in reversed(events) if event.kind is EventKind.PUBLISHED]
        assert published == [batch.id for batch in batches if batch.price_list == f"list-{number}"]


async def test_a_batch_that_is_rescheduled_to_be_sooner_is_not_waited_for(store: Store) -> None:
    await versions(store, 1)
    async with working(store):
        batch = await scheduled(store, 3600)
        soon = await scheduled(store, 4)  # the process waits for this one
        at = await server_time(store.client) + timedelta(seconds=0.5)
        await store.scheduling.reschedule(batch.id, at, by="ops", reason="now")
        [late] = await until_published(store, batch)
        assert late < timedelta(seconds=3)
        assert (await store.batches.get(soon.id)).is_scheduled


async def test_a_process_that_does_not_publish_is_not_waited_for(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 0.2)
    async with store.locks.held("schedule/retail") as token:  # by a process that hangs
        assert token is not None
        async with working(store):
            [late] = await until_published(store, batch)
    assert late > timedelta(seconds=stand_by.STAND_BY_SECONDS)


async def test_an_error_of_the_database_is_retried_and_never_holds_a_batch(store: Store) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    original, calls = store.due_publisher.publish_first_due, 0

    async def failing(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls <= stand_by.MAX_ATTEMPTS + 1:
            raise AutoReconnect("no primary")
        return await original(*args, **kwargs)  # type: ignore[arg-type]

    with patch.object(store.due_publisher, "publish_first_due", failing):
        async with working(store):
            await until_published(store, batch)


async def test_a_batch_that_fails_each_time_is_held_for_review_and_the_next_is_published(store: Store) -> None:
    await versions(store, 1)
    broken = await scheduled(store, -2)
    later = await scheduled(store, -1, amount="8")
    assert broken.layer is not None
    await break_a_block(store, broken.layer.id)
    forget_blocks(store)
    async with working(store):
        await until_published(store, later)
    held = await store.batches.get(broken.id)
    assert (held.state, held.publish_at) == (BatchState.HELD, None)
    assert held.findings[0].message.startswith("It cannot be published: ")


async def test_a_batch_whose_record_is_damaged_is_passed_over_and_seldom_looked_at(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await versions(store, 1)
    damaged = await scheduled(store, -2)
    later = await scheduled(store, -1, amount="8")
    await damage(store, damaged)
    async with working(store):
        await until_published(store, later)
        await asyncio.sleep(2)
    assert 0 < caplog.text.count(f"Batch {damaged.id} cannot be published") < 12


async def test_a_batch_behind_a_damaged_one_is_prepared_before_it_is_due(store: Store) -> None:
    await versions(store, 1)
    damaged = await scheduled(store, -2)
    later = await scheduled(store, 3600)
    await damage(store, damaged)
    due_in = await store.worker._publications._publisher.publish("retail", asyncio.Event())
    assert due_in == pytest.approx(3600, abs=60)
    at = await server_time(store.client) + timedelta(seconds=1)
    await store.scheduling.reschedule(later.id, at, by="ops", reason="sooner")
    with patch.object(store.due_publisher, "prepare", wraps=store.due_publisher.prepare) as prepare:
        await store.worker._publications._publisher.publish("retail", asyncio.Event())
    prepare.assert_called_once_with(later.id)
    [late] = await until_published(store, later)
    assert late >= timedelta(0)


async def test_a_batch_that_is_scheduled_behind_a_damaged_one_does_not_wait_for_the_next_poll(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(publication_schedule, "POLL_INTERVAL_SECONDS", 3600)
    await versions(store, 1)
    damaged = await scheduled(store, -2)
    await damage(store, damaged)
    await scheduled(store, 3600)
    async with working(store):

        async def is_passed_over() -> bool:
            return damaged.id in caplog.text and not store.worker._publications._tasks

        await until(is_passed_over, "passed over")
        await until_published(store, await scheduled(store, 1))


async def test_lists_whose_merges_wait_for_compaction_do_not_delay_others(store: Store) -> None:
    await versions(store, 1)
    await versions(store, 1, "other")
    throttled = [await scheduled(store, -2), await scheduled(store, -1)]
    is_waiting, is_compacted = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> None:
        is_waiting.set()
        await is_compacted.wait()

    store.worker._publications._publisher._working = asyncio.Semaphore(1)
    with patch.object(store.due_publisher, "_throttle", Mock(wait=wait)):
        async with working(store):
            await is_waiting.wait()
            await until_published(store, await scheduled(store, -1, "other"))
            assert (await store.batches.get(throttled[1].id)).is_scheduled
            is_compacted.set()
            await until_published(store, *throttled)


async def test_a_batch_that_is_scheduled_while_the_work_on_its_list_ends_is_not_late(store: Store) -> None:
    await versions(store, 1)
    first = await scheduled(store, 0.2)
    await scheduled(store, 3600)
    original, added = store.locks.held, list[Batch]()

    @asynccontextmanager
    async def held(name: str) -> AsyncIterator[int | None]:
        async with original(name) as token:
            yield token
            if not added and name == "schedule/retail":
                assert (await store.batches.get(first.id)).state is BatchState.PUBLISHED
                added.append(await scheduled(store, 1, amount="8"))
                await asyncio.sleep(0.3)  # its pointer arrives

    with patch.object(store.locks, "held", held):
        async with working(store):
            await until_published(store, first)
            await until(_is_not_empty(added), "scheduled")
            [late] = await until_published(store, *added)
    assert late < timedelta(seconds=3)


async def test_attempts_are_forgotten_when_another_process_publishes_the_batch(
    store: Store, other_store: Store
) -> None:
    await versions(store, 1)
    batch = await scheduled(store, -1)
    original, failures = store.due_publisher.publish_first_due, 0

    async def failing(*args: object, **kwargs: object) -> object:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise Corrupt("damaged")
        await other_store.due_publisher.publish_first_due("retail")
        return await original(*args, **kwargs)  # type: ignore[arg-type]

    with patch.object(store.due_publisher, "publish_first_due", failing):
        async with working(store):
            await until_published(store, batch)

            async def is_over() -> bool:
                return not store.worker._publications._tasks

            await until(is_over, "over")
    assert failures == 2
    assert store.worker._publications._publisher._attempts == {}


class Noted(datetime.datetime):
    """An instant that counts how often it is looked at."""

    looks = 0

    def __lt__(self, other):  # type: ignore[no-untyped-def]
        Noted.looks += 1
        return super().__lt__(other)

    def timestamp(self) -> float:
        Noted.looks += 1
        return super().timestamp()

    def __sub__(self, other):  # type: ignore[no-untyped-def]
        Noted.looks += 1
        return super().__sub__(other)


async def test_the_work_grows_with_the_number_of_lists_of_one_instant_and_not_with_its_square(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication_schedule, "MAX_CONCURRENT_LISTS", 10)
    names, order = [f"list-{number}" for number in range(500)], list[str]()
    at = Noted.fromtimestamp((await server_time(store.client)).timestamp(), datetime.UTC)
    schedule = PublicationSchedule(
        store.client, Mock(), store.batches, store.due_publisher, store.due_releases, store.locks, store.metrics
    )
    most = 0

    async def publish(name: str, stopping: asyncio.Event) -> None:
        nonlocal most
        most = max(most, len(schedule._tasks))
        await asyncio.sleep(0)
        order.append(name)

    stopping = asyncio.Event()
    with patch.object(schedule._publisher, "publish", publish):
        for name in names:
            schedule._follow(_pointer(name, at))
        running = asyncio.create_task(schedule.run(stopping))

        async def is_over() -> bool:
            return len(order) == len(names)

        await until(is_over, "published")
        stopping.set()
        await running
    assert sorted(order) == sorted(names)
    assert order != names, "each process has another order"
    assert most == 10
    assert Noted.looks < 20 * len(names)


async def test_unforeseen_errors_do_not_end_the_publishing_of_a_process(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(publication_schedule, "MAX_CONCURRENT_LISTS", 1)
    monkeypatch.setattr(publication_schedule, "MAX_RETRY_SECONDS", 0.1)
    await versions(store, 1)
    batch = await scheduled(store, -1)
    store.worker._publications = schedule = PublicationSchedule(
        store.client, store.watcher, store.batches, store.due_publisher, store.due_releases, store.locks, store.metrics
    )
    take, failures = schedule._queue.take, 0

    async def failing(limit: int) -> list[str]:
        nonlocal failures
        if failures < 2:
            failures += 1
            raise IndexError("unforeseen")
        return await take(limit)

    with patch.object(schedule._queue, "take", failing):
        async with working(store):
            await until_published(store, batch)
    assert failures == 2
    assert "IndexError: unforeseen" in caplog.text


async def test_late_batches_are_counted(store: Store) -> None:
    await versions(store, 1)
    await scheduled(store, -60)
    with patch.object(store.due_publisher, "publish_first_due", side_effect=AutoReconnect("no primary")):
        async with working(store):

            async def counted() -> bool:
                return store.metrics.overdue == 1

            await until(counted, "counted as overdue")


async def test_a_schedule_that_waits_asks_nothing(watched: tuple[Store, Commands], store: Store) -> None:
    watching, commands = watched
    await versions(store, 1)
    await scheduled(store, 3600)
    started = asyncio.Event()
    with patch.object(publication_schedule.PublicationSchedule, "_look", _noting(started)):
        schedule = watching.worker._publications
        stopping = asyncio.Event()
        await watching.watcher.start()
        running = asyncio.create_task(schedule.run(stopping))
        await started.wait()
        assert schedule._next.keys() == {"retail"}
        with commands.counted() as sent:
            await asyncio.sleep(0.5)
        stopping.set()
        await running
        await watching.watcher.stop()
    assert [name for name in map(_name, sent) if name not in {"getMore", "hello"}] == []


async def test_a_process_stops_while_it_waits_for_a_batch(store: Store) -> None:
    await versions(store, 1)
    await scheduled(store, 4)
    loop = asyncio.get_running_loop()
    async with working(store):

        async def waiting() -> bool:
            return bool(store.worker._publications._tasks)

        await until(waiting, "waiting")
        stopped_at = loop.time()
    assert loop.time() - stopped_at < 3
    assert not await store.locks.is_held("schedule/retail")


@pytest.mark.parametrize("ahead", [-3600, 3600])
async def test_the_clock_of_the_process_does_not_matter(store: Store, ahead: float) -> None:
    await versions(store, 1)
    batch = await scheduled(store, 1)
    store.worker._publications._clock = DatabaseClock(store.client, lambda: time.monotonic() + ahead)
    async with working(store):
        [late] = await until_published(store, batch)
    assert timedelta(0) <= late < timedelta(seconds=3)


def _noting(started: asyncio.Event):  # type: ignore[no-untyped-def]
    original = publication_schedule.PublicationSchedule._look

    async def look(self: publication_schedule.PublicationSchedule) -> None:
        await original(self)
        started.set()

    return look


def _pointer(name: str, at: datetime.datetime) -> PriceList:
    created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return PriceList(name, None, 1, 1, 2, None, created, next_change_at=at)


def _is_not_empty(batches: list[Batch]) -> Callable[[], Awaitable[bool]]:
    async def is_not_empty() -> bool:
        return bool(batches)

    return is_not_empty


def _name(command: dict[str, object]) -> str:
    return next(iter(command))
