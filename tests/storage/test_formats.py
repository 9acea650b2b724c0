"""Two releases on one database: documents of the later one are refused and left unchanged."""

from collections.abc import Awaitable, Callable

import pytest

from storage import Broken, Store
from storage.errors import UnknownFormat
from storage.mongodb.connection import FORMAT, Document, check_format
from tests.storage import factories
from tests.storage.factories import row, rows, submit, versions


async def documents(store: Store, collection: str) -> list[Document]:
    return [document async for document in store.db[collection].find().sort("_id", 1)]


async def make_later(store: Store, collection: str) -> list[Document]:
    """Give the collection's documents the format of a later release, and return them."""
    await store.db[collection].update_many({}, {"$set": {"format": FORMAT + 1, "laterField": {"x": 1}}})
    return await documents(store, collection)


Act = Callable[[Store], Awaitable[object]]
ACTS: dict[str, tuple[str, Act]] = {
    "get a list": ("price_lists", lambda store: store.price_lists.get("retail")),
    "find a list": ("price_lists", lambda store: store.price_lists.find("retail")),
    "submit": ("price_lists", lambda store: submit(store, [row("b")])),
    "roll back": ("price_lists", lambda store: store.pointer_moves.rollback("retail", 1, by="ops", reason="x")),
    "pin": ("price_lists", lambda store: store.pointer_moves.pin("retail", 1, by="ops", reason="x")),
    "unpin": ("price_lists", lambda store: store.pointer_moves.unpin("retail", by="ops", reason="x")),
    "get a version": ("snapshots", lambda store: store.snapshots.get("retail", 1)),
    "list versions": ("snapshots", lambda store: store.snapshots.newest("retail", 10)),
    "roll back to": ("snapshots", lambda store: store.pointer_moves.rollback("retail", 1, by="ops", reason="x")),
    "pin at": ("snapshots", lambda store: store.pointer_moves.pin("retail", 1, by="ops", reason="x")),
    "get a batch by its key": ("batches", lambda store: store.batches.by_key("retail", "monday")),
    "list batches": ("batches", lambda store: store.batches.newest(10, price_list="retail")),
    "submit again": ("batches", lambda store: submit(store, rows(10), key="monday")),
    "list events": ("events", lambda store: store.events.newest("retail", 10)),
}


@pytest.mark.parametrize(("collection", "act"), ACTS.values(), ids=ACTS.keys())
async def test_documents_of_a_later_release_are_refused_and_left_unchanged(
    store: Store, collection: str, act: Act
) -> None:
    await versions(store, 2)
    await factories.left_open(store, rows(10), "monday")
    later = await make_later(store, collection)
    pointers = await documents(store, "price_lists")
    with pytest.raises(UnknownFormat, match=f"format {FORMAT + 1}"):
        await act(store)
    assert await documents(store, collection) == later
    assert await documents(store, "price_lists") == pointers


@pytest.mark.parametrize("change", [{"format": FORMAT + 1}, {"state": 5}, {"list": None}], ids=str)
async def test_an_unreadable_document_of_one_list_does_not_hide_those_of_others(
    store: Store, change: Document, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "later", "z"):
        await versions(store, 1, name)
    batches = {batch.price_list: batch for batch in await store.batches.newest(10)}
    keys = [("a", 1), ("later", 1), ("z", 1)]
    before = await store.snapshots.get_many(keys)
    await store.db["batches"].update_one({"_id": batches["later"].id}, {"$set": change})
    await store.db["snapshots"].update_one({"_id": {"list": "later", "version": 1}}, {"$set": {"state": 5, **change}})
    await store.db["price_lists"].update_one({"_id": "later"}, {"$set": {"revision": "x", **change}})

    assert [batch.price_list for batch in await store.batches.newest(2)] == ["z", "a"]
    found = await store.batches.get_many([batches[name].id for name in ("a", "later", "z")])
    assert [found[0], found[2]] == [batches["a"], batches["z"]]
    manifests = await store.snapshots.get_many(keys)
    assert [manifests[0], manifests[2]] == [before[0], before[2]]
    assert isinstance(found[1], Broken)
    assert isinstance(manifests[1], Broken)
    with pytest.raises(Broken):
        await store.batches.get(batches["later"].id)
    assert {record.levelname for record in caplog.records if record.name == "pricebook.documents"} == {"ERROR"}
    assert [each.name for each in await store.watcher.read()] == ["a", "z"]


async def test_a_batch_of_a_later_release_is_not_taken_over(store: Store) -> None:
    await versions(store, 1)
    left = await factories.left_open(store, rows(10), "monday")
    later = await make_later(store, "batches")
    assert await store.batches.take_over(left.id) is None
    assert await documents(store, "batches") == later


async def test_a_list_that_a_later_release_wrote_during_a_batch_is_left_unchanged(store: Store) -> None:
    await versions(store, 1)
    left = await factories.left_sealing(store, [row("b")], "monday")
    later = await make_later(store, "price_lists")
    with pytest.raises(UnknownFormat):
        await store.lifecycle.finish(left)
    assert await documents(store, "price_lists") == later
    assert await store.snapshots.count("retail") == 1


async def test_fields_of_a_later_release_survive_every_move_of_the_pointer(store: Store) -> None:
    await versions(store, 2)
    added = {"laterField": [1, 2], "another": {"versions": 5}}
    await store.db["price_lists"].update_one({"_id": "retail"}, {"$set": added})
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="x")
    await submit(store, [row("b")])
    await store.pointer_moves.unpin("retail", by="ops", reason="x")
    await submit(store, [row("b")])
    [document] = await documents(store, "price_lists")
    assert document["version"] == 4
    assert {name: document[name] for name in added} == added


@pytest.mark.parametrize("found", [FORMAT + 1, 99, None, "1"])
def test_only_formats_up_to_the_current_one_are_known(found: object) -> None:
    check_format("thing", {"format": FORMAT})
    with pytest.raises(UnknownFormat, match=f"supports formats up to {FORMAT}"):
        check_format("thing", {"format": found})
