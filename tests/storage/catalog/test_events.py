"""Events: every change of a list has one, numbered without a gap, newest first."""

import asyncio

from bson.objectid import ObjectId

from storage import EventKind, Store
from tests.storage.commands import Commands
from tests.storage.factories import current, failed, held, row, submit, versions


async def test_events_have_the_versions_before_and_after_newest_first(store: Store) -> None:
    await versions(store, 2)
    await store.pointer_moves.rollback("retail", 1, by="ada", reason="wrong prices")
    waiting = await submit(store, [row("a", "3")])
    await store.pointer_moves.pin("retail", 2, by="bob", reason="audit")
    await store.pointer_moves.unpin("retail", by="bob", reason="done")
    invalid = await failed(store)
    events = await store.events.newest("retail", 100)
    assert [(event.kind, event.from_version, event.to_version) for event in events] == [
        (EventKind.FAILED, 2, 2),
        (EventKind.UNPINNED, 2, 2),
        (EventKind.PINNED, 1, 2),
        (EventKind.HELD, 1, 1),
        (EventKind.ROLLED_BACK, 2, 1),
        (EventKind.PUBLISHED, 1, 2),
        (EventKind.PUBLISHED, None, 1),
        (EventKind.CREATED, None, None),
    ]
    by_kind = {event.kind: event for event in events}
    assert (by_kind[EventKind.ROLLED_BACK].by, by_kind[EventKind.ROLLED_BACK].reason) == ("ada", "wrong prices")
    assert by_kind[EventKind.HELD].batch == waiting.id
    assert by_kind[EventKind.FAILED].batch == invalid.id
    assert by_kind[EventKind.PUBLISHED].by == "integrator"


async def test_an_event_has_the_version_that_it_is_about(store: Store) -> None:
    await versions(store, 1)
    waiting = [await held(store, [row("a", amount)]) for amount in ("2", "3", "4")]
    await store.lifecycle.reject(waiting[0].id, by="ops", reason="wrong")
    await store.lifecycle.publish_latest("retail", by="ops", reason="done")
    await store.lifecycle.end_superseded("retail")
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="wrong", pin=False)
    await failed(store)
    events = [each for each in await store.events.newest("retail", 100) if each.kind is not EventKind.PINNED]
    assert [(event.kind, event.version, event.to_version) for event in events] == [
        (EventKind.FAILED, None, 1),
        (EventKind.ROLLED_BACK, 1, 1),
        (EventKind.REJECTED, 3, 4),
        (EventKind.PUBLISHED, 4, 4),
        (EventKind.UNPINNED, 1, 1),
        (EventKind.REJECTED, 2, 1),
        (EventKind.HELD, 4, 1),
        (EventKind.HELD, 3, 1),
        (EventKind.HELD, 2, 1),
        (EventKind.PUBLISHED, 1, 1),
        (EventKind.CREATED, None, None),
    ]


async def test_events_are_numbered_without_a_gap_like_the_revisions_of_the_pointer(store: Store) -> None:
    await versions(store, 2)
    await asyncio.gather(
        *(submit(store, [row("a", str(n))]) for n in range(5)),
        *(store.pointer_moves.pin("retail", 1 + n % 2, by="ops", reason="x") for n in range(5)),
    )
    events = await store.events.newest("retail", 100)
    assert [event.revision for event in events] == list(range(13, 0, -1))
    assert (await store.price_lists.get("retail")).revision == 13


async def test_each_event_starts_from_the_version_at_which_the_one_before_it_ended(store: Store) -> None:
    await versions(store, 3)
    await asyncio.gather(
        *(submit(store, [row("a", str(n))]) for n in range(4)),
        *(store.pointer_moves.rollback("retail", n, by="ops", reason="x", pin=False) for n in (1, 2)),
    )
    events = (await store.events.newest("retail", 100))[::-1]
    assert [event.from_version for event in events[1:]] == [event.to_version for event in events[:-1]]
    assert events[-1].to_version == await current(store)


async def test_events_are_returned_a_page_at_a_time(store: Store) -> None:
    await versions(store, 3)
    first = await store.events.newest("retail", 2)
    rest = await store.events.newest("retail", 10, before=first[-1].revision)
    assert [event.revision for event in [*first, *rest]] == [4, 3, 2, 1]


async def test_a_page_of_any_size_is_one_command(store: Store, watched: tuple[Store, Commands]) -> None:
    await versions(store, 1)
    event = await store.db["events"].find_one({"revision": 2})
    assert event
    copies = [{**event, "_id": ObjectId(), "revision": revision} for revision in range(3, 300)]
    await store.db["events"].insert_many(copies)
    reader, commands = watched
    with commands.counted() as sent:
        assert len(await reader.events.newest("retail", 201)) == 201
    assert [next(iter(command)) for command in sent] == ["find"]
