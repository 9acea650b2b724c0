"""Price lists: each name is created once, and lists are returned in the order of their names."""

import asyncio
import datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from storage import EventKind, Gates, InvalidArgument, PriceList, PriceListNotFound, Retention, Store
from storage.errors import PriceListExists
from tests.storage.factories import versions


async def test_a_new_list_has_no_version(store: Store) -> None:
    created = await store.price_list_editor.create("retail", "In the shops", Gates(), "ops")
    assert (created.name, created.description, created.current_version, created.pin) == (
        "retail",
        "In the shops",
        None,
        None,
    )
    assert await store.price_lists.get("retail") == created
    [event] = await store.events.newest("retail", 10)
    assert (event.kind, event.from_version, event.to_version) == (EventKind.CREATED, None, None)


async def test_of_concurrent_creations_of_one_name_one_succeeds(store: Store) -> None:
    results = await asyncio.gather(
        *(store.price_list_editor.create("retail", str(n), Gates(), "ops") for n in range(8)), return_exceptions=True
    )
    [created] = [result for result in results if not isinstance(result, PriceListExists)]
    assert await store.price_lists.get("retail") == created
    assert len(await store.events.newest("retail", 10)) == 1


@pytest.mark.parametrize("name", ["", "A", "-a", ".a", "a b", "a/b", "ä", "x" * 64, "a\n", "$a"])
async def test_an_invalid_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot name"):
        await store.price_list_editor.create(name, None, Gates(), "ops")
    assert await store.watcher.read() == []


async def test_an_update_changes_the_settings_of_a_list_and_nothing_else(store: Store) -> None:
    await versions(store, 1)
    before = await store.price_lists.get("retail")
    gates, retention = Gates(min_size=1), Retention(3, 3)

    def edit(found: PriceList) -> PriceList:
        return replace(found, description="In the shops", gates=gates, retention=retention)

    updated = await store.price_list_editor.update("retail", "ops", edit)
    assert updated.moved_at >= before.moved_at
    assert updated == replace(edit(before), revision=before.revision + 1, moved_at=updated.moved_at)
    assert await store.price_lists.get("retail") == updated
    assert (await store.events.newest("retail", 1))[0].kind is EventKind.UPDATED


async def test_an_invalid_update_changes_nothing(store: Store) -> None:
    await versions(store, 1)
    before = await store.price_lists.get("retail")
    gates = Gates(max_shrink_percent=Decimal(-1))
    with pytest.raises(InvalidArgument, match="maxShrinkPercent"):
        await store.price_list_editor.update("retail", "ops", lambda found: replace(found, gates=gates))
    with pytest.raises(PriceListNotFound):
        await store.price_list_editor.update("nope", "ops", lambda found: found)
    assert await store.price_lists.get("retail") == before


async def test_the_times_of_a_pointer_are_those_of_its_events_and_never_decrease(store: Store) -> None:
    await versions(store, 1)
    ahead = (await store.price_lists.get("retail")).moved_at + datetime.timedelta(hours=1)
    await store.db["price_lists"].update_one({"_id": "retail"}, {"$set": {"movedAt": ahead}})  # by another member
    pinned = await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    [event] = await store.events.newest("retail", 1)
    assert pinned.moved_at == event.at == ahead
