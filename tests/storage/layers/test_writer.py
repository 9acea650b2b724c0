"""Layers: what is written is read back, and the server refuses changes of a sealed layer."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from unittest.mock import AsyncMock, patch

import pytest
from pymongo import InsertOne, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure, PyMongoError

from storage import Layer, Store, Unavailable
from storage.errors import Corrupt, LayerGone, LayerSealed
from storage.layers import directory, durable_inserts, writer
from storage.layers.block import Block
from storage.layers.cutting import BlockCutter
from storage.mongodb.connection import Collection, Document
from tests.storage.factories import Row, encoded, prove, rows

DOCUMENT_VALIDATION_FAILED = 121


def blocks_of(prices: Sequence[Row]) -> list[Block]:
    cutter = BlockCutter()
    return [*cutter.add([each["sku"] for each in prices], list(map(encoded, prices))), *cutter.finish()]


async def write(store: Store, prices: Sequence[Row], layer_id: str = "one") -> Layer:
    async def blocks() -> AsyncIterator[list[Block]]:
        for block in blocks_of(prices):
            yield [block]

    return await store.layer_writer.write(layer_id, blocks())


def collection(store: Store) -> Collection:
    return store.layers_db["layer.one"]


# Writing


@pytest.mark.parametrize("count", [0, 1, 17, 2345])
async def test_a_layer_is_read_back_as_it_was_written(store: Store, count: int) -> None:
    layer = await write(store, rows(count))
    assert layer.count == count
    await store.prover.prove(layer)
    page = await store.layer_reader.page([layer], count + 1)
    assert [price.sku for price in page] == [each["sku"] for each in rows(count)]


async def test_the_same_rows_give_the_same_checksum_and_others_another(store: Store) -> None:
    first, same = await write(store, rows(500)), await write(store, rows(500), "two")
    fewer, other = await write(store, rows(499), "three"), await write(store, rows(500, "2.00"), "four")
    assert first.checksum == same.checksum
    assert len({first.checksum, fewer.checksum, other.checksum}) == 3


async def test_a_directory_of_several_pages_is_written_as_its_blocks_arrive(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PAGE_BLOCKS", 10)
    monkeypatch.setattr(directory, "PAGE_BLOCKS", 10)
    monkeypatch.setattr(durable_inserts, "MAX_INSERT_BYTES", 500)
    layer = await write(store, rows(3000))
    pages = await collection(store).count_documents({"_id": {"$type": "number"}})
    assert pages == -(-len(blocks_of(rows(3000))) // 10) > 2
    await store.prover.prove(layer)
    assert len(await store.layer_reader.page([layer], 5000)) == 3000


async def test_creating_a_layer_again_changes_nothing(store: Store) -> None:
    layer = await write(store, rows(3))
    await store.layer_writer.create(layer.id)
    await store.prover.prove(layer)


async def test_an_insert_is_sent_again_while_no_primary_accepts_it(store: Store) -> None:
    command, calls = store.layers_db.command, list[str]()

    async def interrupted(document: Document) -> Document:
        calls.append(next(iter(document)))
        reply: Document = await command(document)
        if len(calls) == 1:
            raise AutoReconnect("The reply was lost.")
        if len(calls) == 2:
            return {"writeErrors": [{"index": 0, "code": 10107, "errmsg": "not primary"}]}
        if len(calls) == 3:
            return {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
        return reply

    with patch.object(store.layers_db, "command", interrupted):
        layer = await write(store, rows(100))
    assert calls == ["insert"] * 4
    await store.prover.prove(layer)


async def test_a_document_that_the_server_refuses_is_an_error(store: Store) -> None:
    refused = AsyncMock(return_value={"writeErrors": [{"index": 0, "code": 17280, "errmsg": "key too large"}]})
    with patch.object(store.layers_db, "command", refused), pytest.raises(Corrupt, match="key too large"):
        await write(store, rows(100))


# Sealing


async def test_a_sealed_layer_refuses_further_blocks(store: Store) -> None:
    layer = await write(store, rows(30))
    await store.layer_writer.freeze(layer.id)
    with pytest.raises(LayerSealed):
        await write(store, rows(60)[30:])
    await prove(store, layer)


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.insert_one({"_id": "new", "format": 1, "data": b"x"}),
        lambda layer: layer.update_one({}, {"$set": {"data": b"x"}}),
        lambda layer: layer.update_one({"_id": "new"}, {"$set": {"data": b"x"}}, upsert=True),
        lambda layer: layer.replace_one({"_id": 0}, {"format": 1, "data": b"x"}),
        lambda layer: layer.find_one_and_update({}, {"$unset": {"data": 1}}),
        lambda layer: layer.bulk_write([InsertOne({"_id": "new"}), UpdateOne({}, {"$set": {"data": b"x"}})]),
    ],
)
async def test_the_server_refuses_every_insert_and_update_of_a_sealed_layer(
    store: Store, change: Callable[[Collection], Awaitable[object]]
) -> None:
    layer = await write(store, rows(30))
    await store.layer_writer.freeze(layer.id)
    with pytest.raises(PyMongoError) as refused:
        await change(collection(store))
    error = refused.value
    if isinstance(error, BulkWriteError):
        assert error.details["writeErrors"][0]["code"] == DOCUMENT_VALIDATION_FAILED
    else:
        assert isinstance(error, OperationFailure)
        assert error.code == DOCUMENT_VALIDATION_FAILED
    await prove(store, layer)


async def test_a_layer_is_sealed_only_by_the_validator_that_no_document_meets(store: Store) -> None:
    assert await store.layer_writer.is_sealed("one") is None
    await write(store, rows(3))
    assert await store.layer_writer.is_sealed("one") is False
    await store.layer_writer.freeze("one")
    assert await store.layer_writer.is_sealed("one") is True
    changes: list[Document] = [{"validationAction": "warn"}, {"validationLevel": "moderate"}, {"validator": {}}]
    for change in changes:
        await store.layers_db.command({"collMod": "layer.one", **change})
        assert await store.layer_writer.is_sealed("one") is False
        await store.layer_writer.freeze("one")


async def test_a_seal_that_no_majority_confirms_is_not_counted_on(store: Store) -> None:
    await write(store, rows(3))
    unconfirmed = AsyncMock(return_value={"writeConcernError": {"code": 64}})
    with patch.object(store.layers_db, "command", unconfirmed), pytest.raises(Unavailable, match="not sealed"):
        await store.layer_writer.freeze("one")


# Dropping


async def test_a_layer_that_was_dropped_is_gone_not_empty(store: Store) -> None:
    layer = await write(store, rows(30))
    assert await store.layer_writer.all() == ["one"]
    assert (await store.layer_writer.stats("one"))["count"] > 1
    await store.layer_writer.drop("one")
    assert await store.layer_writer.all() == []
    assert await store.layer_writer.stats("one") == {}
    with pytest.raises(LayerGone):
        await store.layer_reader.page([layer], 10)
    with pytest.raises(LayerGone):
        await store.prover.prove(layer)
