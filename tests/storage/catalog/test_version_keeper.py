"""Kept versions: until an instant by the database's time, whatever retention says; with an event and a reason."""

import datetime

import pytest

from storage import EventKind, InvalidArgument, PricebookError, PriceListNotFound, SnapshotNotFound, Store
from storage.catalog.version_keeper import InvalidUntil, NotKept
from storage.errors import SnapshotExpired, SnapshotNeverPublished
from tests.storage.factories import held, row, snapshot, versions

DAY = datetime.timedelta(days=1)


async def keep(
    store: Store, until: datetime.datetime | None, version: int = 1, reason: str = "an audit", name: str = "retail"
) -> int:
    """Keep a version, and return the revision."""
    return (await store.version_keeper.keep(name, version, until=until, by="ops", reason=reason)).revision


async def moved_at(store: Store) -> datetime.datetime:
    """When the list last changed, by the time of the database."""
    return (await store.price_lists.get("retail")).moved_at


async def test_a_version_is_kept_until_an_instant_with_an_event(store: Store) -> None:
    await versions(store, 2)
    until = await moved_at(store) + DAY
    revision = await keep(store, until)
    kept = (await snapshot(store, 1)).keep
    [event] = await store.events.newest("retail", 1)
    assert kept is not None
    assert (kept.until, kept.by, kept.reason, kept.at) == (until, "ops", "an audit", event.at)
    assert (event.kind, event.version, event.reason, event.by) == (EventKind.KEPT, 1, "an audit", "ops")
    assert (event.revision, event.moved, event.from_version) == (revision, False, 2)


async def test_it_is_kept_longer_shorter_or_no_longer(store: Store) -> None:
    await versions(store, 1)
    now = await moved_at(store)
    for days in (30, 60, 1):
        await keep(store, now + days * DAY)
        kept = (await snapshot(store, 1)).keep
        assert kept is not None
        assert kept.until == now + days * DAY
    await keep(store, None)
    assert (await snapshot(store, 1)).keep is None
    with pytest.raises(NotKept, match="Nothing was changed"):
        await keep(store, None)
    assert [event.kind for event in await store.events.newest("retail", 4)] == [EventKind.KEPT] * 4


async def test_an_instant_of_another_offset_is_stored_as_utc(store: Store) -> None:
    await versions(store, 1)
    until = (await moved_at(store) + DAY).astimezone(datetime.timezone(datetime.timedelta(hours=9)))
    await keep(store, until)
    kept = (await snapshot(store, 1)).keep
    assert kept is not None
    assert (kept.until, kept.until.utcoffset()) == (until, datetime.timedelta())


async def test_the_time_of_the_database_decides_what_is_still_to_come(store: Store) -> None:
    await versions(store, 1)
    ahead = await moved_at(store) + 30 * DAY
    await store.db["price_lists"].update_one({"_id": "retail"}, {"$set": {"movedAt": ahead}})  # by another member
    for until in (ahead - DAY, ahead, ahead + 11 * 366 * DAY):
        with pytest.raises(InvalidUntil):
            await keep(store, until)
    await keep(store, ahead + 3650 * DAY)


@pytest.mark.parametrize(
    "until",
    [
        datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime.max.replace(tzinfo=datetime.timezone(-DAY / 2)),
        datetime.datetime.min.replace(tzinfo=datetime.timezone(DAY / 2)),
        datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + DAY,
    ],
    ids=["past", "too far ahead", "last of all", "first of all", "no offset"],
)
async def test_an_instant_that_cannot_be_is_refused_and_changes_nothing(store: Store, until: datetime.datetime) -> None:
    await versions(store, 1)
    before = await store.price_lists.get("retail"), await snapshot(store, 1)
    with pytest.raises(InvalidUntil) as raised:
        await keep(store, until)
    assert (raised.value.code, raised.value.path) == ("INVALID_UNTIL", ("input", "until"))
    assert (await store.price_lists.get("retail"), await snapshot(store, 1)) == before


async def test_only_a_version_that_was_current_and_can_be_read_is_kept(store: Store) -> None:
    await versions(store, 2)
    await held(store, [row("b")])
    until = await moved_at(store) + DAY
    async with store.client.start_session() as session:
        await store.expirations.expire("retail", 1, session)
    refused: list[tuple[type[PricebookError], int, str]] = [
        (SnapshotExpired, 1, "retail"),
        (SnapshotNeverPublished, 3, "retail"),
        (SnapshotNotFound, 4, "retail"),
        (PriceListNotFound, 1, "nope"),
    ]
    for error, version, name in refused:
        for instant in (until, None):
            with pytest.raises(error):
                await keep(store, instant, version, name=name)
    with pytest.raises(InvalidArgument, match="Give a reason"):
        await keep(store, until, 2, reason=" ")
