"""The stored documents, field by field: what a neighbouring release has to read.

Each expected value is the stored value, or the type of a value that differs from run to run. The fields of a
sub-document are in the stored order, which MongoDB regards when it compares sub-documents.
"""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId

from storage import BatchState, Gates, PublishPolicy, Retention, Snapshot, Store
from storage.mongodb.connection import Database, Document
from storage.mongodb.transaction import instant
from tests.storage import factories
from tests.storage.factories import order, row, source, submit

GATES = Gates(Decimal("12.50"), Decimal(5), Decimal("0.10"), ("EUR", "USD"), 1)

LEASE = {"owner": str, "token": 1, "until": datetime.datetime}
OWNED_LOCK = {"token": 1, "until": datetime.datetime, "owner": str}
ITEM_ERROR = {
    "index": 1,
    "sku": "bad",
    "field": "amount",
    "code": "AMOUNT_NEGATIVE",
    "message": str,
    "line": None,
    "duplicateOf": None,
}

LAYER = {"id": str, "count": 2, "checksum": str}

PRICE_LISTS: list[Document] = [
    {
        "_id": "empty",
        "format": 1,
        "description": None,
        "version": None,
        "publishedVersion": 0,
        "lastVersion": 0,
        "compactions": 0,
        "gates": {
            "maxShrinkPercent": None,
            "maxChangedPercent": None,
            "maxPriceChangePercent": None,
            "allowedCurrencies": None,
            "minSize": None,
        },
        "retention": {"versions": 30, "days": 30, "thin": False},
        "revision": 1,
        "pin": None,
        "supersededBefore": None,
        "deletion": None,
        "nextChangeAt": None,
        "release": None,
        "movedAt": datetime.datetime,
        "createdAt": datetime.datetime,
    },
    {
        "_id": "retail",
        "format": 1,
        "description": "In the shops",
        "version": 1,
        "publishedVersion": 1,
        "lastVersion": 2,
        "compactions": 0,
        "gates": {
            "maxShrinkPercent": Decimal128("12.50"),
            "maxChangedPercent": Decimal128("5"),
            "maxPriceChangePercent": Decimal128("0.10"),
            "allowedCurrencies": ["EUR", "USD"],
            "minSize": 1,
        },
        "retention": {"versions": 5, "days": 3, "thin": True},
        "revision": 5,
        "pin": {"version": 1, "reason": "audit", "by": "ops", "at": datetime.datetime},
        "supersededBefore": None,
        "deletion": None,
        "nextChangeAt": None,
        "release": None,
        "movedAt": datetime.datetime,
        "createdAt": datetime.datetime,
    },
]

SNAPSHOTS: list[Document] = [
    {
        "_id": {"list": "retail", "version": 1},
        "format": 1,
        "layers": [LAYER],
        "size": 2,
        "state": "PUBLISHED",
        "createdAt": datetime.datetime,
        "publishedAt": datetime.datetime,
        "label": "spring",
        "batch": str,
        "base": None,
    },
    {
        "_id": {"list": "retail", "version": 2},
        "format": 1,
        "layers": [LAYER],
        "size": 2,
        "state": "SEALED",
        "createdAt": datetime.datetime,
        "publishedAt": None,
        "label": None,
        "batch": str,
        "base": 1,
    },
]

OPENED: Document = {
    "_id": str,
    "format": 1,
    "list": "retail",
    "mode": "REPLACE",
    "fingerprint": str,
    "chunked": False,
    "publish": "WHEN_VALID",
    "expectedVersion": None,
    "label": None,
    "publishAt": None,
    "release": None,
    "submittedBy": "integrator",
    "expected": 2,
    "madeOn": 1,
    "createdAt": datetime.datetime,
    "touchedAt": datetime.datetime,
    "lease": LEASE,
}
SEALED: Document = {**OPENED, "layer": LAYER, "received": 2, "rows": 2, "stored": 2}

BATCHES: list[Document] = [
    {
        **SEALED,
        "key": "published",
        "madeOn": None,
        "label": "spring",
        "state": "PUBLISHED",
        "base": None,
        "summary": {"added": 2, "removed": 0, "changed": 0, "unchanged": 0},
        "findings": [],
        "version": 1,
        "revision": 2,
        "finishedAt": datetime.datetime,
    },
    {
        **SEALED,
        "key": "held",
        "publish": "ON_APPROVAL",
        "state": "HELD",
        "base": 1,
        "summary": {"added": 1, "removed": 1, "changed": 1, "unchanged": 0},
        "findings": [
            {
                "gate": "maxChangedPercent",
                "severity": "HOLD",
                "message": str,
                "observed": Decimal128("50.00"),
                "limit": Decimal128("5"),
            },
            {
                "gate": "maxPriceChangePercent",
                "severity": "HOLD",
                "message": str,
                "observed": Decimal128("200.00"),
                "limit": Decimal128("0.10"),
            },
            {"gate": "onApproval", "severity": "HOLD", "message": str, "observed": None, "limit": None},
        ],
        "heldByPin": False,
        "version": 2,
    },
    {
        **OPENED,
        "key": "failed",
        "expectedVersion": 1,
        "state": "FAILED",
        "received": 2,
        "errorReport": {"id": str, "count": 1},
        "errorCount": 1,
        "refusal": {"code": "BATCH_INVALID", "message": str},
        "finishedAt": datetime.datetime,
    },
    {**OPENED, "key": "open", "chunked": True, "state": "OPEN", "expected": None, "received": 1, "stored": 1},
]

PARTS: list[Document] = [
    {
        "_id": {"batch": str, "sequence": 1},
        "format": 1,
        "fingerprint": str,
        "prices": 2,
        "rows": 1,
        "runs": [{"id": str, "rows": 1, "checksum": str}],
        "errorReport": {"id": str, "count": 1},
        "errorCount": 1,
    },
]

ITEM_ERRORS: list[Document] = [
    {
        "_id": {"batch": str, "report": str, "first": 0},
        "format": 1,
        "at": datetime.datetime,
        "errors": [ITEM_ERROR],
    }
] * 2

STAGED: list[Document] = [
    {
        "_id": {"first": "d", "run": str, "number": 1},
        "format": 1,
        "hash": bytes,
        "data": bytes,
        "positions": bytes,
    },
]

EVENT: Document = {
    "_id": ObjectId,
    "format": 1,
    "at": datetime.datetime,
    "reason": None,
    "fromVersion": None,
    "toVersion": None,
    "batch": None,
    "version": None,
    "release": None,
    "moved": False,
}
EVENTS: list[Document] = [
    {**EVENT, "list": "empty", "revision": 1, "kind": "CREATED", "by": "ops"},
    {**EVENT, "list": "retail", "revision": 1, "kind": "CREATED", "by": "ops"},
    {
        **EVENT,
        "list": "retail",
        "revision": 2,
        "kind": "PUBLISHED",
        "by": "integrator",
        "toVersion": 1,
        "moved": True,
        "batch": str,
        "version": 1,
    },
    {
        **EVENT,
        "list": "retail",
        "revision": 3,
        "kind": "HELD",
        "by": "integrator",
        "fromVersion": 1,
        "toVersion": 1,
        "batch": str,
        "version": 2,
    },
    {
        **EVENT,
        "list": "retail",
        "revision": 4,
        "kind": "FAILED",
        "by": "integrator",
        "reason": str,
        "fromVersion": 1,
        "toVersion": 1,
        "batch": str,
    },
    {
        **EVENT,
        "list": "retail",
        "revision": 5,
        "kind": "PINNED",
        "by": "ops",
        "reason": "audit",
        "fromVersion": 1,
        "toVersion": 1,
        "version": 1,
    },
]

API_KEY: Document = {
    "_id": str,
    "format": 1,
    "name": "shop",
    "hash": str,
    "grants": ["prices:read:retail", "prices:read:outlet-*"],
    "createdAt": datetime.datetime,
    "createdBy": "ops",
    "expiresAt": None,
    "revokedAt": None,
    "lastUsedAt": None,
}

STORED: dict[str, list[Document]] = {
    "price_lists": PRICE_LISTS,
    "snapshots": SNAPSHOTS,
    "batches": BATCHES,
    "parts": PARTS,
    "item_errors": ITEM_ERRORS,
    "events": EVENTS,
    "api_keys": [API_KEY, {**API_KEY, "expiresAt": datetime.datetime}],
    "processes": [
        {"_id": str, "format": 1, "at": datetime.datetime, "heads": {"retail": 3}},
    ],
    "locks": [{"_id": "retain/retail", "lease": OWNED_LOCK}],
    "orphans": [{"_id": "layer", "format": 1, "since": datetime.datetime}],
    "expired_snapshots": [],
}


def differences(found: Any, expected: Any, path: str) -> Iterator[str]:
    """Yield where a stored value is not the expected one, or has another type."""
    if isinstance(expected, type):
        if not isinstance(found, expected):
            yield f"{path}: {found!r} is no {expected.__name__}"
    elif isinstance(expected, dict) and isinstance(found, dict):
        if list(found) != list(expected):
            yield f"{path}: {list(found)} != {list(expected)}"
        for name in found.keys() & expected.keys():
            yield from differences(found[name], expected[name], f"{path}.{name}")
    elif isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            yield f"{path}: {found!r} != {expected!r}"
        for index, pair in enumerate(zip(found, expected, strict=False)):
            yield from differences(*pair, f"{path}.{index}")
    elif type(found) is not type(expected) or found != expected:
        yield f"{path}: {found!r} != {expected!r}"


def by_name(document: Document) -> Document:
    """The document with its fields in the order of their names: `$set` adds fields in the server's order."""
    return dict(sorted(document.items()))


async def assert_stored(
    store: Store, collection: str, expected: list[Document], sort: str = "_id", db: Database | None = None
) -> None:
    cursor = (store.db if db is None else db)[collection].find().sort(sort, 1)
    found = [by_name(document) async for document in cursor]
    assert list(differences(found, list(map(by_name, expected)), collection)) == []


@pytest.fixture
async def filled(store: Store) -> Store:
    """A store with documents of every kind."""
    await store.price_list_editor.create("empty", None, Gates(), "ops")
    await store.price_list_editor.create("retail", "In the shops", GATES, "ops", Retention(5, 3, thin=True))
    await submit(store, [row("a"), row("b")], key="published", label="spring")
    await submit(store, [row("a", "3"), row("c", "1", "USD")], key="held", publish=PublishPolicy.ON_APPROVAL)
    await submit(store, [row("a"), row("bad", "-1")], key="failed", expected_version=1)
    await store.pointer_moves.pin("retail", 1, by="ops", reason="audit")
    opened = await store.multipart.open(order(key="open"))
    await store.multipart.append(opened.id, 1, await source([row("d"), row("bad", "-1")]), [])
    grants = ("prices:read:retail", "prices:read:outlet-*")
    for lifetime in (None, datetime.timedelta(days=1)):
        await store.api_keys.create("shop", grants, "ops", lifetime)
    await store.processes.beat({"retail": 3})
    async with store.locks.held("retain/retail"):
        pass
    await store.orphans.note(["layer"])
    return store


@pytest.mark.parametrize("collection", STORED)
async def test_a_document_is_stored_as_every_release_reads_it(filled: Store, collection: str) -> None:
    await assert_stored(filled, collection, STORED[collection], "expiresAt" if collection == "api_keys" else "_id")


async def test_a_deleted_list_is_stored_as_a_tombstone(filled: Store) -> None:
    await filled.deleter.delete("retail", by="ops", reason="test", force=True)
    deletion = {"at": datetime.datetime, "purged": False}
    empty = {key: value for key, value in PRICE_LISTS[0].items() if key not in ("_id", "revision", "lastVersion")}
    tombstone = {**empty, "_id": "retail", "revision": 6, "lastVersion": 2, "deletion": deletion}
    await assert_stored(filled, "price_lists", [PRICE_LISTS[0], tombstone])
    await filled.deleter.purge("retail")
    await assert_stored(
        filled, "price_lists", [PRICE_LISTS[0], {**tombstone, "deletion": {**deletion, "purged": True}}]
    )


async def test_a_release_has_its_items_and_its_batch_what_the_gates_judge(filled: Store) -> None:
    await filled.pointer_moves.unpin("retail", by="ops", reason="x")
    release = await filled.release_editor.create("Spring", "spring", by="ann")
    batch = await submit(
        filled, [row("a", "3"), row("c", "1", "USD")], publish=PublishPolicy.ON_APPROVAL, release=release.id
    )
    found = await filled.db["batches"].find_one({"_id": batch.id})
    summary = {"added": 1, "removed": 1, "changed": 1, "unchanged": 0}
    change = [Decimal128("200.00"), "a"]
    facts = {"baseSize": 2, "size": 2, "summary": summary, "currencies": list, "largestChange": change}
    assert found is not None
    assert list(differences(found["facts"], facts, "facts")) == []
    assert (await filled.batches.get(batch.id)).facts == batch.facts
    await filled.lifecycle.approve(batch.id, by="ops", reason="x")
    await filled.release_publisher.publish(release.id, by="ann")
    stored = {
        "_id": str,
        "format": 1,
        "name": "Spring",
        "key": "spring",
        "fingerprint": str,
        "state": "PUBLISHED",
        "createdBy": "ann",
        "createdAt": datetime.datetime,
        "touchedAt": datetime.datetime,
        "publishAt": None,
        "publishedAt": datetime.datetime,
        "items": [{"list": "retail", "batch": batch.id, "fromVersion": 1, "toVersion": 3, "revision": 9}],
    }
    await assert_stored(filled, "releases", [stored])
    pointer = await filled.db["price_lists"].find_one({"_id": "retail"})
    assert pointer is not None
    assert pointer["release"] == {"id": release.id, "lists": 1}


async def test_a_preview_token_is_stored_as_its_hash_and_its_batch(filled: Store) -> None:
    [batch] = await filled.batches.newest(1, price_list="retail", state=BatchState.HELD)
    await filled.previews.grant(batch.id, instant() + datetime.timedelta(days=1), by="ops", reason="x")
    stored = {"_id": str, "format": 1, "batch": batch.id, "expiresAt": datetime.datetime}
    await assert_stored(filled, "previews", [stored])


async def test_a_layer_is_stored_as_its_blocks_and_its_directory(filled: Store) -> None:
    [layer] = (await factories.snapshot(filled, 1)).layers
    documents: list[Document] = [{"_id": key, "format": 1, "data": bytes} for key in (0, "a")]
    await assert_stored(filled, f"layer.{layer.id}", documents, db=filled.layers_db)


async def test_the_rows_of_a_part_are_staged_with_their_positions(filled: Store) -> None:
    [batch] = await filled.staging.batches()
    await assert_stored(filled, f"staging.{batch}", STAGED)


async def test_a_manifest_has_the_times_of_reading_and_expiring_only_once_they_are_known(filled: Store) -> None:
    async def manifest() -> Snapshot:
        return await factories.snapshot(filled, 1)

    await filled.snapshots.note_reads([("retail", 1)])
    await filled.expirations.mark("retail", [1])
    found = await manifest()
    assert found.read_at is not None
    assert found.doomed_at is not None
    async with filled.client.start_session() as session:
        await filled.expirations.expire("retail", 1, session)
    times = dict.fromkeys(("readAt", "doomedAt", "retiredAt"), datetime.datetime)
    await assert_stored(filled, "snapshots", [{**SNAPSHOTS[0], **times, "state": "RETIRED"}, SNAPSHOTS[1]])
    assert (await manifest()).retired_at is not None
    async with filled.client.start_session() as session:
        await filled.expirations.restore("retail", 1, session)
    await assert_stored(filled, "snapshots", [{**SNAPSHOTS[0], "readAt": datetime.datetime}, SNAPSHOTS[1]])
    layers = [*(await manifest()).layers, *(await factories.snapshot(filled, 2)).layers]
    async with filled.client.start_session() as session:
        await filled.snapshots.replace_layers(await manifest(), layers, session)
    assert (await manifest()).layers == tuple(layers)


async def test_a_manifest_says_until_when_it_is_kept_and_when_it_was_replaced_only_then(filled: Store) -> None:
    until = instant() + datetime.timedelta(days=1)
    await filled.version_keeper.keep("retail", 1, until=until, by="ops", reason="audit")
    await filled.pointer_moves.unpin("retail", by="ops", reason="x")
    [waiting] = [each for each in await filled.batches.newest(9) if each.state is BatchState.HELD]
    await filled.lifecycle.approve(waiting.id, by="ops", reason="x")
    kept = {"until": until, "by": "ops", "reason": "audit", "at": datetime.datetime}
    found = await filled.db["snapshots"].find_one({"_id.version": 1})
    assert found is not None
    expected = {**SNAPSHOTS[0], "keep": kept, "replacedAt": datetime.datetime}
    assert list(differences(found, expected, "snapshots")) == []
    await filled.version_keeper.keep("retail", 1, until=None, by="ops", reason="audit")
    assert (await factories.snapshot(filled, 1)).keep is None
    assert "keep" not in (await filled.db["snapshots"].find_one({"_id.version": 1}) or {})


async def test_the_manifest_of_an_expired_version_lies_apart_without_its_layers(filled: Store) -> None:
    layers = [layer for version in (1, 2) for layer in (await factories.snapshot(filled, version)).layer_ids]
    async with filled.client.start_session() as session:
        await filled.expirations.expire("retail", 1, session)
        await filled.snapshots.release_layers("retail", [1, 2], instant() + datetime.timedelta(hours=1), session)
        await filled.snapshots.withdraw("retail", [2], session)
    ended: Document = {"state": "RETIRED", "layers": []}
    expired = [{**SNAPSHOTS[0], **ended, "retiredAt": datetime.datetime}, {**SNAPSHOTS[1], **ended}]
    await assert_stored(filled, "expired_snapshots", expired)
    await assert_stored(filled, "snapshots", [])
    assert await filled.orphans.noted(layers) == set(layers)


async def test_a_batch_whose_idempotency_key_expired_keeps_it_under_another_name(filled: Store) -> None:
    long_ago = datetime.datetime.fromtimestamp(0, datetime.UTC)
    await filled.db["batches"].update_one({"key": "published"}, {"$set": {"finishedAt": long_ago}})
    later = await filled.multipart.open(factories.order(key="published"))
    finished = {**BATCHES[0], "usedKey": "published"}
    del finished["key"]
    found = await filled.db["batches"].find_one({"usedKey": "published"})
    assert found is not None
    assert list(differences(by_name(found), by_name(finished), "batches")) == []
    assert (await filled.batches.get(found["_id"])).key == later.key == "published"


async def test_fields_of_a_later_release_do_not_hinder_reading(filled: Store) -> None:
    later: Document = {"laterField": {"x": [1]}}
    for collection in STORED:
        await filled.db[collection].update_many({}, {"$set": later})
    assert (await filled.price_lists.get("retail")).gates == GATES
    assert (await factories.snapshot(filled, 1)).size == 2
    assert len(await filled.batches.newest(10)) == len(BATCHES)
    assert len(await filled.events.newest("retail", 10)) == 5
    assert len(await filled.api_keys.all()) == 2
    [open_batch] = [batch for batch in await filled.batches.newest(10) if batch.chunked]
    assert [part.sequence for part in await filled.parts.by_batch(open_batch.id)] == [1]


async def test_times_are_read_as_aware_and_utc(filled: Store) -> None:
    price_list = await filled.price_lists.get("retail")
    assert price_list.pin is not None
    [key, *_] = await filled.api_keys.all()
    [event] = await filled.events.newest("retail", 1)
    snapshot = await factories.snapshot(filled, 1)
    times = [price_list.created_at, price_list.pin.at, key.expires_at, event.at, snapshot.created_at]
    assert [time and time.utcoffset() for time in times] == [datetime.timedelta(0)] * 5
