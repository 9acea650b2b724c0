"""Rollbacks and pins: each is one transaction of the pointer and its event, and copies nothing."""

import datetime

import pytest
from msgspec.structs import replace

from storage import (
    InvalidArgument,
    PricebookError,
    PriceListNotFound,
    PublishPolicy,
    Snapshot,
    SnapshotNotFound,
    Store,
)
from storage.errors import AlreadyCurrent, Conflict, NotPinned, SnapshotNeverPublished
from tests.storage.factories import amounts, create, current, held, published, row, snapshot, submit, versions

# Rollbacks


async def test_a_rollback_makes_an_earlier_version_current_and_pins_it(store: Store) -> None:
    await versions(store, 3)
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="wrong prices")
    assert moved == await store.price_lists.get("retail")
    assert (moved.current_version, moved.last_version) == (1, 3)
    assert moved.pin is not None
    assert (moved.pin.version, moved.pin.by, moved.pin.reason) == (1, "ops", "wrong prices")
    assert await amounts(store, 1) == {"a": "1"}


async def test_a_rollback_copies_nothing(store: Store) -> None:
    await versions(store, 3)
    collections = sorted(await store.db.list_collection_names())
    manifests = await store.snapshots.newest("retail", 10)
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    assert sorted(await store.db.list_collection_names()) == collections
    untimed = [[replace(each, replaced_at=None) for each in kept] for kept in (manifests, await newest(store))]
    assert untimed[0] == untimed[1]


async def newest(store: Store) -> list[Snapshot]:
    return await store.snapshots.newest("retail", 10)


async def replacements(store: Store) -> dict[int, datetime.datetime | None]:
    """By version, when it was last replaced."""
    return {each.version: each.replaced_at for each in await newest(store)}


async def test_every_move_of_the_pointer_notes_when_the_version_before_it_was_replaced(store: Store) -> None:
    await versions(store, 3)
    waiting = await submit(store, [row("b")], publish=PublishPolicy.ON_APPROVAL)
    await store.lifecycle.approve(waiting.id, by="ops", reason="x")
    for version in (2, 3, 2, 1):
        await store.pointer_moves.rollback("retail", version, by="ops", reason="x", pin=False)
    await store.pointer_moves.pin("retail", 4, by="ops", reason="x")
    await held(store, [row("b", "2")])
    await store.lifecycle.publish_latest("retail", by="ops", reason="x")
    moves = [each for each in await store.events.newest("retail", 100) if each.moved]
    last = {each.from_version: each.at for each in reversed(moves) if each.from_version}
    assert len(moves) == 10
    assert await replacements(store) == {5: None, **last}


async def test_a_version_that_is_current_again_has_not_been_replaced(store: Store) -> None:
    await versions(store, 2)
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    found = await replacements(store)
    assert found[1] is None
    assert found[2] == (await store.price_lists.get("retail")).moved_at
    await store.pointer_moves.pin("retail", 1, by="ops", reason="x")
    assert await replacements(store) == found


async def test_a_rollback_can_go_to_any_published_version_also_forward(store: Store) -> None:
    await versions(store, 5)
    for version in (2, 4, 1, 5, 3):
        await store.pointer_moves.rollback("retail", version, by="ops", reason="x")
        assert await current(store) == version
        assert await amounts(store, version) == {"a": str(version)}


async def test_after_a_rollback_without_a_pin_the_next_batch_is_published(store: Store) -> None:
    await versions(store, 2)
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="x", pin=False)
    assert moved.pin is None
    assert (await published(store, [row("a", "3")])).version == 3
    assert (await snapshot(store, 3)).base == 1


async def test_a_rollback_without_a_pin_of_a_pinned_list_moves_the_pin(store: Store) -> None:
    await versions(store, 3)
    await store.pointer_moves.pin("retail", 3, by="ops", reason="audit")
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="x", pin=False)
    assert moved.pin is not None
    assert (moved.pin.version, moved.pin.reason) == (1, "audit")


@pytest.mark.parametrize(
    ("version", "error"),
    [(3, AlreadyCurrent), (9, SnapshotNotFound), (0, SnapshotNotFound), (4, SnapshotNeverPublished)],
)
async def test_a_rollback_to_a_version_that_cannot_be_current_changes_nothing(
    store: Store, version: int, error: type[PricebookError]
) -> None:
    await versions(store, 3)
    await held(store, [row("a", "4")])
    before, events = await store.price_lists.get("retail"), await store.events.newest("retail", 100)
    with pytest.raises(error):
        await store.pointer_moves.rollback("retail", version, by="ops", reason="x")
    assert await store.price_lists.get("retail") == before
    assert await store.events.newest("retail", 100) == events


async def test_a_rollback_from_another_version_than_expected_is_refused(store: Store) -> None:
    await versions(store, 3)
    with pytest.raises(Conflict) as refused:
        await store.pointer_moves.rollback("retail", 1, by="ops", reason="x", expected_version=2)
    assert (refused.value.expected, refused.value.found) == (2, 3)
    assert await current(store) == 3


async def test_a_list_cannot_be_rolled_back_to_a_version_of_another_list(store: Store) -> None:
    await versions(store, 2, "retail")
    await create(store, "wholesale")
    with pytest.raises(SnapshotNotFound):
        await store.pointer_moves.rollback("wholesale", 1, by="ops", reason="x")


@pytest.mark.parametrize("reason", ["", "   ", "x" * 1001])
async def test_a_pointer_move_needs_a_reason(store: Store, reason: str) -> None:
    await versions(store, 2)
    for move in (
        store.pointer_moves.rollback("retail", 1, by="ops", reason=reason),
        store.pointer_moves.pin("retail", 1, by="ops", reason=reason),
        store.pointer_moves.unpin("retail", by="ops", reason=reason),
        store.lifecycle.publish_latest("retail", by="ops", reason=reason),
    ):
        with pytest.raises(InvalidArgument, match="reason"):
            await move
    assert await current(store) == 2


async def test_the_pointer_of_a_list_that_does_not_exist_cannot_be_moved(store: Store) -> None:
    for move in (
        store.pointer_moves.rollback("nope", 1, by="ops", reason="x"),
        store.pointer_moves.pin("nope", 1, by="ops", reason="x"),
        store.pointer_moves.unpin("nope", by="ops", reason="x"),
        store.lifecycle.publish_latest("nope", by="ops", reason="x"),
    ):
        with pytest.raises(PriceListNotFound):
            await move


# Pins


async def test_a_pin_of_another_version_makes_it_current(store: Store) -> None:
    await versions(store, 3)
    moved = await store.pointer_moves.pin("retail", 2, by="ops", reason="x")
    assert moved.current_version == 2
    assert moved.pin is not None
    assert moved.pin.version == 2


@pytest.mark.parametrize(("version", "error"), [(9, SnapshotNotFound), (3, SnapshotNeverPublished)])
async def test_a_version_that_was_never_current_cannot_be_pinned(
    store: Store, version: int, error: type[PricebookError]
) -> None:
    await versions(store, 2)
    await held(store, [row("a", "3")])
    before = await store.price_lists.get("retail")
    with pytest.raises(error):
        await store.pointer_moves.pin("retail", version, by="ops", reason="x")
    assert await store.price_lists.get("retail") == before


async def test_a_list_that_is_not_pinned_cannot_be_unpinned(store: Store) -> None:
    await versions(store, 1)
    before = await store.price_lists.get("retail")
    with pytest.raises(NotPinned):
        await store.pointer_moves.unpin("retail", by="ops", reason="x")
    assert await store.price_lists.get("retail") == before
