"""A release is rolled back as it was published: all of its lists at once, or none of them."""

import pytest

from storage import EventKind, InvalidArgument, ListFilter, ReleaseForbidden, ReleaseRefused, ReleaseState, Store
from storage.catalog.price_lists import ReleaseMark
from storage.catalog.releases import ReleaseNotFound
from storage.releases.rollback import ReleaseNotPublished
from tests.storage.commands import Commands
from tests.storage.factories import create, current, row, snapshot, submit, versions
from tests.storage.releases.scheduled import LISTS, filled, found_against, newest_events, published, revisions


async def test_all_lists_return_to_their_versions_before_the_release_and_are_pinned(store: Store) -> None:
    await versions(store, 2)
    await versions(store, 1, "wholesale")
    release = await published(store)
    await store.pointer_moves.pin("retail", 3, by="audit", reason="as released")
    rolled_back = await store.release_rollback.rollback(release.id, by="ops", reason="wrong prices")
    assert rolled_back.state is ReleaseState.ROLLED_BACK
    assert rolled_back == await store.releases.get(release.id)
    assert rolled_back.items == release.items
    for name, version in zip(LISTS, (2, 1), strict=True):
        price_list = await store.price_lists.get(name)
        assert price_list.current_version == version
        assert price_list.pin is not None
        assert (price_list.pin.version, price_list.pin.by, price_list.pin.reason) == (version, "ops", "wrong prices")
        assert price_list.release == ReleaseMark(release.id, 2)
        assert (await snapshot(store, version, name)).replaced_at is None
        assert (await snapshot(store, version + 1, name)).replaced_at == price_list.moved_at
    for event, (earlier, later) in zip(await newest_events(store), ((3, 2), (2, 1)), strict=True):
        assert (event.kind, event.release, event.by) == (EventKind.ROLLED_BACK, release.id, "ops")
        assert (event.from_version, event.to_version, event.version) == (earlier, later, later)
        assert event.reason == "wrong prices"


async def test_a_release_that_was_rolled_back_is_returned_as_it_is(store: Store) -> None:
    for name in LISTS:
        await versions(store, 1, name)
    release = await published(store)
    rolled_back = await store.release_rollback.rollback(release.id, by="ops", reason="wrong prices")
    before = await revisions(store)
    assert await store.release_rollback.rollback(release.id, by="ops", reason="again") == rolled_back
    assert await revisions(store) == before


async def test_every_list_that_cannot_return_is_named_and_none_moves(store: Store) -> None:
    lists = ("deleted", "expired", "fine", "moved", "new")
    await create(store, "new")
    for name in lists[:-1]:
        await versions(store, 1, name)
    release = await published(store, lists)
    await submit(store, [row("a", "10")], "moved")
    await store.deleter.delete("deleted", by="ops", reason="gone", force=True)
    await store.db["snapshots"].update_one({"_id": {"list": "expired", "version": 1}}, {"$set": {"state": "RETIRED"}})
    before = await revisions(store, lists[1:])
    with pytest.raises(ReleaseRefused) as refused:
        await store.release_rollback.rollback(release.id, by="ops", reason="wrong prices")
    assert found_against(refused.value) == [
        ("deleted", "PRICE_LIST_NOT_FOUND"),
        ("expired", "SNAPSHOT_EXPIRED"),
        ("moved", "CONFLICT"),
        ("new", "NO_EARLIER_VERSION"),
    ]
    assert all(each.path[:-1] == ("input", "release") for each in refused.value.objections)
    assert await revisions(store, lists[1:]) == before
    assert await current(store, "fine") == 2
    assert (await store.releases.get(release.id)).state is ReleaseState.PUBLISHED


async def test_only_those_who_may_operate_all_of_its_lists_roll_it_back(store: Store) -> None:
    for name in LISTS:
        await versions(store, 1, name)
    release = await published(store)
    some = ListFilter(names=frozenset({"retail"}))
    with pytest.raises(ReleaseForbidden) as refused:
        await store.release_rollback.rollback(release.id, by="ops", reason="wrong prices", operates=some)
    assert "wholesale" not in refused.value.message
    assert await current(store) == 2


async def test_only_a_published_release_is_rolled_back(store: Store) -> None:
    for name in LISTS:
        await versions(store, 1, name)
    release = await filled(store)
    with pytest.raises(ReleaseNotPublished, match="discard it") as refused:
        await store.release_rollback.rollback(release.id, by="ops", reason="wrong prices")
    assert refused.value.code == "RELEASE_NOT_PUBLISHED"
    with pytest.raises(ReleaseNotFound):
        await store.release_rollback.rollback("none", by="ops", reason="wrong prices")
    with pytest.raises(InvalidArgument):
        await store.release_rollback.rollback(release.id, by="ops", reason=" ")


async def test_a_rollback_sends_the_same_commands_for_any_number_of_lists(
    watched: tuple[Store, Commands], store: Store
) -> None:
    watching, commands = watched
    sent = list[list[str]]()
    for lists in (("one",), ("two", "three", "four")):
        for name in lists:
            await versions(store, 1, name)
        release = await published(store, lists)
        with commands.counted() as counted:
            await watching.release_rollback.rollback(release.id, by="ops", reason="wrong prices")
        sent.append([next(iter(command)) for command in counted])
    assert sent[0] == sent[1]
