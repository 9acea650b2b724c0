"""The pointer: who moves it, where to, what is told of it, and that nothing else moves it."""

import asyncio

import pytest

from storage import (
    BatchState,
    Event,
    EventKind,
    Gates,
    InvalidArgument,
    PricebookError,
    PriceListNotFound,
    SnapshotNotFound,
    SnapshotState,
    Store,
)
from storage.errors import AlreadyCurrent, Conflict, NotPinned, PriceListExists, SnapshotNeverPublished
from tests.storage import factories
from tests.storage.factories import (
    amounts,
    create,
    current,
    held,
    published,
    read_back,
    row,
    snapshot,
    submit,
    versions,
)


async def events(store: Store, price_list: str = "retail") -> list[Event]:
    return await store.events.newest(price_list, 1000)


async def told(store: Store) -> list[tuple[EventKind, int | None, int | None]]:
    return [(event.kind, event.from_version, event.to_version) for event in await events(store)]


# Creating


async def test_a_new_list_has_no_version(store: Store) -> None:
    made = await store.price_list_editor.create("retail", "In the shops", Gates(), "ops")
    assert (made.name, made.description, made.current_version, made.pin) == ("retail", "In the shops", None, None)
    assert await store.price_lists.get("retail") == made
    assert await told(store) == [(EventKind.CREATED, None, None)]


async def test_a_name_is_taken_once_by_one_of_many_at_once(store: Store) -> None:
    made = await asyncio.gather(
        *(store.price_list_editor.create("retail", str(n), Gates(), "ops") for n in range(8)), return_exceptions=True
    )
    [first] = [each for each in made if not isinstance(each, PriceListExists)]
    assert await store.price_lists.get("retail") == first
    assert len(await events(store)) == 1


@pytest.mark.parametrize("name", ["", "A", "-a", ".a", "a b", "a/b", "ä", "x" * 64, "a\n", "$a"])
async def test_a_name_that_cannot_be_one_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot name"):
        await store.price_list_editor.create(name, None, Gates(), "ops")
    assert await store.price_lists.count() == 0


async def test_lists_are_given_by_name(store: Store) -> None:
    names = ["b", "a", "0", "a.b", "x" * 63]
    for name in names:
        await create(store, name)
    assert [each.name for each in await store.price_lists.by_name()] == sorted(names)
    assert [each.name for each in await store.price_lists.by_name(2, "a")] == ["a.b", "b"]
    assert await store.price_lists.count() == 5


# Publishing


async def test_versions_are_numbered_from_one_without_a_gap(store: Store) -> None:
    await create(store)
    for version in (1, 2, 3):
        batch = await published(store, [row("a", str(version))])
        assert (batch.version, batch.rows, batch.stored) == (version, 1, 1)
        assert await current(store) == version
    for version in (1, 2, 3):
        assert await amounts(store, version) == {"a": str(version)}


async def test_a_manifest_tells_where_a_version_comes_from(store: Store) -> None:
    await versions(store, 1)
    batch = await submit(store, [row("a"), row("b")], label="spring")
    manifest = await snapshot(store, 2)
    assert manifest.batch == batch.id
    assert manifest.layer_ids == (batch.layer,)
    assert (manifest.size, manifest.layers[0].checksum, manifest.label, manifest.base) == (
        2,
        batch.checksum,
        "spring",
        1,
    )
    assert manifest.state is SnapshotState.PUBLISHED
    assert manifest.published_at == batch.finished_at
    assert (await read_back(store, batch.layer)).hex == manifest.layers[0].checksum


async def test_lists_are_published_apart(store: Store) -> None:
    await versions(store, 2, "retail")
    await versions(store, 1, "wholesale")
    assert [await current(store, name) for name in ("retail", "wholesale")] == [2, 1]
    assert [event.revision for event in await events(store, "wholesale")] == [2, 1]


async def test_a_reader_in_the_middle_of_a_walk_keeps_its_version(store: Store) -> None:
    await create(store)
    await published(store, factories.rows(6, "1.00"))
    layers = (await snapshot(store, 1)).layer_ids
    walk = await store.layer_reader.page(layers, 2)
    for amount in ("2.00", "3.00"):
        await published(store, factories.rows(4, amount))
        walk += await store.layer_reader.page(layers, 2, after=walk[-1].sku)
    assert [(price.sku, str(price.amount)) for price in walk] == [(f"sku-{n:06}", "1.00") for n in range(6)]


# Rolling back


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
    names = sorted(await store.db.list_collection_names())
    manifests = await store.snapshots.newest("retail", 10)
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    assert sorted(await store.db.list_collection_names()) == names
    assert await store.snapshots.newest("retail", 10) == manifests


async def test_a_rollback_goes_to_any_version_whatever_came_between_also_forward(store: Store) -> None:
    await versions(store, 5)
    for version in (2, 4, 1, 5, 3):
        await store.pointer_moves.rollback("retail", version, by="ops", reason="x")
        assert await current(store) == version
        assert await amounts(store, version) == {"a": str(version)}


async def test_a_rollback_without_a_pin_lets_the_next_batch_through(store: Store) -> None:
    await versions(store, 2)
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="x", pin=False)
    assert moved.pin is None
    assert (await published(store, [row("a", "3")])).version == 3
    assert (await snapshot(store, 3)).base == 1


async def test_a_rollback_without_a_pin_of_its_own_leaves_the_list_held_where_it_is_now(store: Store) -> None:
    await versions(store, 3)
    await store.pointer_moves.pin("retail", 3, by="ops", reason="audit")
    moved = await store.pointer_moves.rollback("retail", 1, by="ops", reason="x", pin=False)
    assert moved.pin is not None
    assert (moved.pin.version, moved.pin.reason) == (1, "audit")


@pytest.mark.parametrize(
    ("version", "error"),
    [(3, AlreadyCurrent), (9, SnapshotNotFound), (0, SnapshotNotFound), (4, SnapshotNeverPublished)],
)
async def test_a_rollback_to_what_cannot_be_current_is_refused_and_changes_nothing(
    store: Store, version: int, error: type[PricebookError]
) -> None:
    await versions(store, 3)
    await held(store, [row("a", "4")])
    before, told_before = await store.price_lists.get("retail"), await told(store)
    with pytest.raises(error):
        await store.pointer_moves.rollback("retail", version, by="ops", reason="x")
    assert (await store.price_lists.get("retail"), await told(store)) == (before, told_before)


async def test_a_rollback_from_another_version_than_expected_is_refused(store: Store) -> None:
    await versions(store, 3)
    with pytest.raises(Conflict) as refused:
        await store.pointer_moves.rollback("retail", 1, by="ops", reason="x", expected_version=2)
    assert (refused.value.expected, refused.value.found) == (2, 3)
    assert await current(store) == 3


async def test_a_snapshot_of_another_list_is_none_to_go_back_to(store: Store) -> None:
    await versions(store, 2, "retail")
    await create(store, "wholesale")
    with pytest.raises(SnapshotNotFound):
        await store.pointer_moves.rollback("wholesale", 1, by="ops", reason="x")


@pytest.mark.parametrize("reason", ["", "   ", "x" * 1001])
async def test_ops_give_a_reason(store: Store, reason: str) -> None:
    await versions(store, 2)
    for act in (
        store.pointer_moves.rollback("retail", 1, by="ops", reason=reason),
        store.pointer_moves.pin("retail", 1, by="ops", reason=reason),
        store.pointer_moves.unpin("retail", by="ops", reason=reason),
    ):
        with pytest.raises(InvalidArgument, match="reason"):
            await act
    assert await current(store) == 2


async def test_a_list_that_does_not_exist_cannot_be_moved(store: Store) -> None:
    for act in (
        store.pointer_moves.rollback("nope", 1, by="ops", reason="x"),
        store.pointer_moves.pin("nope", 1, by="ops", reason="x"),
        store.pointer_moves.unpin("nope", by="ops", reason="x"),
    ):
        with pytest.raises(PriceListNotFound):
            await act


# Pinning


async def test_a_pinned_list_holds_the_batch_under_a_version_of_its_own(store: Store) -> None:
    await versions(store, 1)
    batch = await held(store, [row("a", "2")])
    assert (batch.state, batch.version, batch.finished_at) == (BatchState.HELD, 2, None)
    assert await current(store) == 1
    manifest = await snapshot(store, 2)
    assert (manifest.state, manifest.published_at) == (SnapshotState.SEALED, None)
    assert await amounts(store, 2) == {"a": "2"}


async def test_after_an_unpin_the_next_batch_is_published_above_those_that_waited(store: Store) -> None:
    await versions(store, 1)
    await held(store, [row("a", "2")])
    assert (await store.pointer_moves.unpin("retail", by="ops", reason="done")).pin is None
    assert (await published(store, [row("a", "3")])).version == 3
    assert await current(store) == 3


async def test_a_pin_of_another_version_makes_it_current(store: Store) -> None:
    await versions(store, 3)
    moved = await store.pointer_moves.pin("retail", 2, by="ops", reason="x")
    assert moved.current_version == 2
    assert moved.pin is not None
    assert moved.pin.version == 2


@pytest.mark.parametrize(("version", "error"), [(9, SnapshotNotFound), (3, SnapshotNeverPublished)])
async def test_what_was_never_current_cannot_be_pinned(store: Store, version: int, error: type[PricebookError]) -> None:
    await versions(store, 2)
    await held(store, [row("a", "3")])
    before = await store.price_lists.get("retail")
    with pytest.raises(error):
        await store.pointer_moves.pin("retail", version, by="ops", reason="x")
    assert await store.price_lists.get("retail") == before


async def test_an_unpin_of_what_is_not_pinned_is_refused(store: Store) -> None:
    await versions(store, 1)
    before = await store.price_lists.get("retail")
    with pytest.raises(NotPinned):
        await store.pointer_moves.unpin("retail", by="ops", reason="x")
    assert await store.price_lists.get("retail") == before


# Events


async def test_everything_that_happened_is_told_newest_first_with_the_versions_it_led_between(store: Store) -> None:
    await versions(store, 2)
    await store.pointer_moves.rollback("retail", 1, by="ada", reason="wrong prices")
    waiting = await submit(store, [row("a", "3")])
    await store.pointer_moves.pin("retail", 2, by="bob", reason="audit")
    await store.pointer_moves.unpin("retail", by="bob", reason="done")
    bad = await factories.failed(store)
    assert await told(store) == [
        (EventKind.FAILED, 2, 2),
        (EventKind.UNPINNED, 2, 2),
        (EventKind.PINNED, 1, 2),
        (EventKind.HELD, 1, 1),
        (EventKind.ROLLED_BACK, 2, 1),
        (EventKind.PUBLISHED, 1, 2),
        (EventKind.PUBLISHED, None, 1),
        (EventKind.CREATED, None, None),
    ]
    by_kind = {event.kind: event for event in await events(store)}
    assert (by_kind[EventKind.ROLLED_BACK].by, by_kind[EventKind.ROLLED_BACK].reason) == ("ada", "wrong prices")
    assert by_kind[EventKind.HELD].batch == waiting.id
    assert by_kind[EventKind.FAILED].batch == bad.id
    assert by_kind[EventKind.PUBLISHED].by == "integrator"


async def test_events_are_numbered_without_a_gap_as_the_pointer_is(store: Store) -> None:
    await versions(store, 2)
    await asyncio.gather(
        *(submit(store, [row("a", str(n))]) for n in range(5)),
        *(store.pointer_moves.pin("retail", 1 + n % 2, by="ops", reason="x") for n in range(5)),
    )
    found = await events(store)
    assert [event.revision for event in found] == list(range(13, 0, -1))
    assert (await store.price_lists.get("retail")).revision == 13


async def test_each_event_goes_on_from_where_the_one_before_it_led(store: Store) -> None:
    await versions(store, 3)
    await asyncio.gather(
        *(submit(store, [row("a", str(n))]) for n in range(4)),
        *(store.pointer_moves.rollback("retail", n, by="ops", reason="x", pin=False) for n in (1, 2)),
    )
    found = (await events(store))[::-1]
    assert [event.from_version for event in found[1:]] == [event.to_version for event in found[:-1]]
    assert found[-1].to_version == await current(store)


async def test_events_are_given_a_page_at_a_time(store: Store) -> None:
    await versions(store, 3)
    first = await store.events.newest("retail", 2)
    rest = await store.events.newest("retail", 10, before=first[-1].revision)
    assert [event.revision for event in [*first, *rest]] == [4, 3, 2, 1]
