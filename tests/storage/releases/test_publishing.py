"""Publishing a release: all its lists change in one transaction, or none does."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from storage import (
    BatchMode,
    BatchState,
    EventKind,
    Gates,
    ListFilter,
    PublishPolicy,
    Release,
    ReleaseForbidden,
    ReleaseRefused,
    ReleaseState,
    SnapshotState,
    Store,
)
from storage.catalog.releases import ReleaseNotFound, ReleaseNotOpen
from storage.errors import InvalidArgument
from storage.releases import publishing
from storage.releases.errors import EmptyRelease
from tests.storage.commands import Commands
from tests.storage.factories import amounts, current, order, published, row, snapshot, source, submit
from tests.storage.releases.factories import LISTS, all_current, filled, lists, release, told, wait


async def publish(store: Store, release: Release, **more: Any) -> Release:
    return await store.release_publisher.publish(release.id, by="ann", **more)


async def limit(store: Store, name: str, gates: Gates) -> None:
    await store.price_list_editor.update(name, "ops", lambda found: msgspec.structs.replace(found, gates=gates))


async def refused(store: Store, release: Release, **more: Any) -> list[tuple[str, str]]:
    """Publish a release that something stands against, and return the list and the code of each objection."""
    before = await all_current(store)
    with pytest.raises(ReleaseRefused) as error:
        await publish(store, release, **more)
    assert await all_current(store) == before
    assert (await store.releases.get(release.id)).state is ReleaseState.OPEN
    assert all(each.path[:2] == ("input", "release") for each in error.value.objections)
    assert all(repr(each.path[-1]) in each.message for each in error.value.objections)
    return told(error.value)


async def test_all_lists_of_a_release_change_together(store: Store) -> None:
    await lists(store)
    opened = await filled(store)
    done = await publish(store, opened, reason="launch")
    assert done.state is ReleaseState.PUBLISHED
    assert [(item.price_list, item.from_version, item.to_version) for item in done.items] == [
        (name, 1, 2) for name in LISTS
    ]
    for item in done.items:
        found = await store.price_lists.get(item.price_list)
        assert (found.current_version, found.published_version, found.revision) == (2, 2, item.revision)
        assert found.release is not None
        assert (found.release.id, found.release.lists, found.moved_at) == (opened.id, 3, done.published_at)
        [event] = await store.events.newest(item.price_list, 1)
        assert (event.kind, event.by, event.reason) == (EventKind.PUBLISHED, "ann", "launch")
        assert (event.release, event.batch, event.version) == (opened.id, item.batch, 2)
        batch = await store.batches.get(item.batch)
        assert (batch.state, batch.version, batch.revision) == (BatchState.PUBLISHED, 2, found.revision)
        assert (await snapshot(store, 2, item.price_list)).published_at == batch.finished_at == found.moved_at
        assert (await snapshot(store, 1, item.price_list)).replaced_at == found.moved_at
        assert await amounts(store, 2, item.price_list) == {"a": "9"}
    assert store.metrics.releases == {"published": 1}
    assert store.metrics.batches["books", BatchMode.REPLACE, BatchState.PUBLISHED] == 2


async def test_a_published_release_is_returned_unchanged(store: Store) -> None:
    await lists(store)
    opened = await filled(store)
    done = await publish(store, opened)
    assert await publish(store, opened, expected={"books": 1}) == done
    assert await all_current(store) == [2, 2, 2]
    assert store.metrics.releases == {"published": 1}


async def test_publishing_sends_as_many_commands_for_many_lists_as_for_one(
    store: Store, watched: tuple[Store, Commands]
) -> None:
    many = [f"list-{number}" for number in range(20)]
    await lists(store, names=many)
    sent = []
    for names in (many[:1], many):
        opened = await filled(store, names)
        watching, commands = watched
        with commands.counted() as counted:
            await publish(watching, opened)
        sent.append([next(iter(command)) for command in counted])
    assert sent[0] == sent[1]


async def test_batches_whose_base_is_current_are_not_compared_again(store: Store) -> None:
    await lists(store)
    opened = await filled(store)
    with patch.object(store.comparer, "compare", side_effect=AssertionError):
        await publish(store, opened)


# Versions


async def test_a_batch_is_rebased_on_what_was_published_since_it_was_sealed(store: Store) -> None:
    await lists(store)
    opened = await filled(store, ["books"])
    merging = replace(order("games", release=opened.id), mode=BatchMode.MERGE)
    await store.submitter.submit(merging, await source([row("b", "5")]))
    for name in LISTS:
        await published(store, [row("c", "7")], name)
    await wait(store, opened, "tools")
    await publish(store, opened)
    assert await all_current(store) == [4, 4, 3], "new versions where the one that was assigned is too low"
    assert await amounts(store, 4, "games") == {"b": "5", "c": "7"}
    assert await amounts(store, 4, "books") == {"a": "9"}
    assert (await snapshot(store, 2, "books")).state is SnapshotState.RETIRED
    [batch] = [each for each in await store.batches.newest(9, price_list="games") if each.release]
    assert (batch.version, batch.base, batch.summary and batch.summary.added) == (4, 3, 1)


async def test_a_rollback_below_the_base_gives_a_batch_a_new_version(store: Store) -> None:
    await lists(store, 2, ["books"])
    opened = await filled(store, ["books"])
    await published(store, [row("c", "7")], "books")
    await store.pointer_moves.rollback("books", 2, by="ops", reason="x", pin=False)
    await publish(store, opened)
    assert await current(store, "books") == 5
    assert await amounts(store, 5, "books") == {"a": "9"}


# Objections


async def test_everything_that_stands_against_a_release_is_told_for_each_list(store: Store) -> None:
    await lists(store)
    opened = await release(store)
    await wait(store, opened, "books", expected_version=1)
    await wait(store, opened, "games", publish=PublishPolicy.ON_APPROVAL)
    await wait(store, opened, "tools")
    await published(store, [row("c", "7")], "books")
    await store.pointer_moves.pin("books", 3, by="ops", reason="audit")
    await limit(store, "games", Gates(max_price_change_percent=Decimal(10)))
    pending = await store.multipart.open(order("tools", release=opened.id))
    assert await refused(store, opened) == [
        ("books", "CONFLICT"),
        ("books", "PINNED"),
        ("games", "GATE_HELD"),
        ("tools", "BATCH_NOT_SEALED"),
    ]
    with pytest.raises(ReleaseRefused, match=rf"Batch {pending.id} .* OPEN"):
        await publish(store, opened)


async def test_a_deleted_list_stands_against_its_release(store: Store) -> None:
    await lists(store)
    opened = await filled(store)
    await store.db["price_lists"].update_one(
        {"_id": "games"}, {"$set": {"deletion": {"at": opened.created_at, "purged": False}}}
    )
    with pytest.raises(ReleaseRefused) as error:
        await publish(store, opened)
    assert told(error.value) == [("games", "PRICE_LIST_NOT_FOUND")]
    assert [await current(store, name) for name in ("books", "tools")] == [1, 1]


async def test_the_versions_that_the_caller_expects_replace_those_of_the_batches(store: Store) -> None:
    await lists(store, names=["books", "games"])
    await store.price_list_editor.create("tools", None, Gates(), "ops")
    opened = await release(store)
    for name in LISTS:
        await wait(store, opened, name)
    assert await refused(store, opened, expected={"books": 1, "games": 0, "tools": 1}) == [
        ("games", "CONFLICT"),
        ("tools", "CONFLICT"),
    ]
    with pytest.raises(InvalidArgument, match="'wines'"):
        await publish(store, opened, expected={"wines": 1})
    done = await publish(store, opened, expected={"books": 1, "tools": 0})
    assert [item.from_version for item in done.items] == [1, 1, None]


async def test_an_approval_lets_a_batch_go_with_its_release_in_spite_of_the_gates_that_held_it(store: Store) -> None:
    await lists(store)
    await limit(store, "books", Gates(max_price_change_percent=Decimal(10)))
    opened = await release(store)
    batch = await wait(store, opened, "books", publish=PublishPolicy.ON_APPROVAL)
    assert await refused(store, opened) == [("books", "GATE_HELD")]
    await store.lifecycle.approve(batch.id, by="eve", reason="checked")
    await limit(store, "books", Gates(max_price_change_percent=Decimal(10), min_size=2))
    assert await refused(store, opened) == [("books", "GATE_HELD")], "another gate than the approved one"
    await limit(store, "books", Gates(max_price_change_percent=Decimal(10)))
    assert (await publish(store, opened)).state is ReleaseState.PUBLISHED


async def test_an_empty_release_or_a_closed_one_is_not_published(store: Store) -> None:
    opened = await release(store)
    with pytest.raises(EmptyRelease):
        await publish(store, opened)
    await store.release_editor.discard(opened.id, by="ann", reason="x")
    with pytest.raises(ReleaseNotOpen):
        await publish(store, opened)
    with pytest.raises(ReleaseNotFound):
        await store.release_publisher.publish("none", by="ann")


async def test_only_who_operates_all_lists_publishes_a_release(store: Store) -> None:
    await lists(store)
    opened = await filled(store)
    with pytest.raises(ReleaseForbidden) as error:
        await publish(store, opened, operates=ListFilter(names=frozenset({"books", "games"})))
    assert "tools" not in error.value.message
    assert await all_current(store) == [1, 1, 1]
    assert (await publish(store, opened, operates=ListFilter(names=frozenset(LISTS)))).state is ReleaseState.PUBLISHED


# Races


async def test_of_two_releases_with_a_common_list_one_wins_and_the_other_is_told(store: Store) -> None:
    await lists(store)
    first, second = await filled(store, ["books", "games"]), await filled(store, ["games", "tools"])
    commit = store.release_publisher._commit

    async def publish_first(*arguments: Any) -> Any:
        if (await store.releases.get(first.id)).state is ReleaseState.OPEN:
            with patch.object(store.release_publisher, "_commit", commit):
                await publish(store, first)
            await published(store, [row("c", "7")], "games")
        return await commit(*arguments)

    with patch.object(store.release_publisher, "_commit", publish_first), pytest.raises(ReleaseRefused) as error:
        await publish(store, second)
    assert told(error.value) == [("games", "CONFLICT")]
    assert f"release {first.id}" in error.value.message
    assert await all_current(store) == [2, 4, 1]
    assert (await publish(store, second)).state is ReleaseState.PUBLISHED, "the change was reviewed"


async def test_releases_that_are_published_at_once_by_several_processes_move_each_list_once(
    store: Store, other_store: Store
) -> None:
    await lists(store)
    opened = await filled(store)
    first, second = await asyncio.gather(publish(store, opened), publish(other_store, opened))
    assert first == second
    assert await all_current(store) == [2, 2, 2]
    assert store.metrics.releases["published"] + other_store.metrics.releases["published"] == 1


async def test_a_release_follows_batches_that_overtake_it_for_a_bounded_number_of_times(store: Store) -> None:
    await lists(store)
    opened = await filled(store)
    commit, overtaking = store.release_publisher._commit, 3

    async def overtaken(*arguments: Any) -> Any:
        nonlocal overtaking
        if overtaking:
            overtaking -= 1
            await submit(store, [row("c", str(overtaking))], "games")
        return await commit(*arguments)

    with patch.object(store.release_publisher, "_commit", overtaken), patch.object(publishing, "MAX_ATTEMPTS", 3):
        assert await refused_after(store, opened) == [("games", "CONFLICT")]
        overtaking = 2
        await publish(store, opened)
    assert await amounts(store, await current(store, "games") or 0, "games") == {"a": "9"}


async def refused_after(store: Store, release: Release) -> list[tuple[str, str]]:
    with pytest.raises(ReleaseRefused) as error:
        await publish(store, release)
    return told(error.value)


async def test_a_list_that_overtakes_a_release_often_waits_until_it_is_published(store: Store) -> None:
    await lists(store)
    opened = await filled(store)
    commit, attempts = store.release_publisher._commit, 0

    async def overtaken(*arguments: Any) -> Any:
        nonlocal attempts
        attempts += 1
        if await store.locks.is_held("publish/games"):
            assert not await store.locks.is_held("publish/books")
        else:
            await submit(store, [row("c", str(attempts))], "games")
        return await commit(*arguments)

    with patch.object(store.release_publisher, "_commit", overtaken):
        await publish(store, opened)
    assert attempts == 5
    assert not await store.locks.is_held("publish/games")
