"""Fetching blocks and directories: what is damaged is refused and counted, and concerns only those who asked for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from storage import Store
from storage.catalog.snapshots import Layer
from storage.errors import Corrupt, LayerGone, UnknownFormat
from storage.layers.block import Block, collection_of, encode_block
from storage.layers.directory import Directory
from storage.layers.fetcher import BlockFetcher
from storage.layers.writer import LayerWriter
from storage.mongodb.connection import Collection, Document
from storage.prices.price import encode_row

FIRSTS = ("a", "b", "c")


async def blocks() -> AsyncIterator[Sequence[Block]]:
    yield [encode_block([first], [encode_row("1.00", "EUR")]) for first in FIRSTS]


@pytest.fixture
async def layer(store: Store) -> Layer:
    """A layer of three blocks of one row."""
    return await LayerWriter(store.layers_db).write("x", blocks())


@pytest.fixture
def fetcher(store: Store) -> BlockFetcher:
    return BlockFetcher(store.layers_db)


@pytest.fixture
def collection(store: Store) -> Collection:
    return store.layers_db[collection_of("x")]


async def fetch(fetcher: BlockFetcher, directory: Directory, first: str) -> list[str]:
    found = await fetcher.fetch("x", directory, [directory.index(first)])
    return [sku for block in found for sku in block.content.skus]


async def test_a_damaged_block_fails_only_the_reads_that_need_it(
    fetcher: BlockFetcher, layer: Layer, collection: Collection
) -> None:
    directory = await fetcher.directory(layer.id, layer.checksum, layer.count)
    [other] = [each async for each in collection.find({"_id": "c"})]
    await collection.update_one({"_id": "b"}, {"$set": {"data": other["data"]}})
    results = await asyncio.gather(*(fetch(fetcher, directory, first) for first in FIRSTS), return_exceptions=True)
    assert [results[0], results[2]] == [["a"], ["c"]]
    assert isinstance(results[1], Corrupt)
    assert "The block 'b' of layer x is damaged." in results[1].message
    assert fetcher.corrupt == 1


@pytest.mark.parametrize("change", [{"data": b"no frame"}, {"data": "text"}, {"data": None}, {"other": 1}], ids=str)
async def test_a_block_whose_document_is_no_block_is_damaged(
    fetcher: BlockFetcher, layer: Layer, collection: Collection, change: Document
) -> None:
    directory = await fetcher.directory(layer.id, layer.checksum, layer.count)
    await collection.replace_one({"_id": "b"}, {"format": 1, **change})
    with pytest.raises(Corrupt, match="The block 'b' of layer x is damaged"):
        await fetch(fetcher, directory, "b")


async def test_a_missing_block_is_damage_and_a_missing_layer_is_not(
    fetcher: BlockFetcher, layer: Layer, collection: Collection
) -> None:
    directory = await fetcher.directory(layer.id, layer.checksum, layer.count)
    await collection.delete_one({"_id": "b"})
    with pytest.raises(Corrupt, match="It does not exist"):
        await fetch(fetcher, directory, "b")
    assert fetcher.corrupt == 1
    await collection.drop()
    with pytest.raises(LayerGone):
        await fetch(fetcher, directory, "a")
    with pytest.raises(LayerGone):
        await fetcher.directory(layer.id, layer.checksum, layer.count)
    assert fetcher.corrupt == 1


async def test_an_unknown_format_is_refused_by_name_and_is_no_damage(
    fetcher: BlockFetcher, layer: Layer, collection: Collection
) -> None:
    directory = await fetcher.directory(layer.id, layer.checksum, layer.count)
    await collection.update_many({}, {"$set": {"format": 2}})
    with pytest.raises(UnknownFormat, match="A block 'b' of layer x has format 2"):
        await fetch(fetcher, directory, "b")
    with pytest.raises(UnknownFormat, match="A directory of layer x has format 2"):
        await fetcher.directory(layer.id, layer.checksum, layer.count)
    assert fetcher.corrupt == 0


@pytest.mark.parametrize("change", [{"data": b"no frame"}, {"data": "text"}, {"other": 1}], ids=str)
async def test_a_damaged_directory_is_refused(
    fetcher: BlockFetcher, layer: Layer, collection: Collection, change: Document
) -> None:
    await collection.replace_one({"_id": 0}, {"format": 1, **change})
    with pytest.raises(Corrupt, match="The directory of layer x is damaged"):
        await fetcher.directory(layer.id, layer.checksum, layer.count)
    assert fetcher.corrupt == 1


async def test_the_directory_must_have_the_checksum_and_the_count_of_the_manifest(
    fetcher: BlockFetcher, layer: Layer
) -> None:
    with pytest.raises(Corrupt, match="another checksum than its manifest"):
        await fetcher.directory(layer.id, "0" * 64, layer.count)
    with pytest.raises(Corrupt, match="Layer x has 3 rows; its manifest has 4"):
        await fetcher.directory(layer.id, layer.checksum, 4)


async def test_the_store_counts_the_damage_that_any_of_its_readers_found(mongodb_uri: str, store: Store) -> None:
    layer = await LayerWriter(store.layers_db).write("x", blocks())
    reading = await Store.open(mongodb_uri, store.db.name, secondaries=True)
    await store.layers_db[collection_of("x")].update_one({"_id": "b"}, {"$set": {"data": b"damaged"}})
    for reads, reader in enumerate((reading.query_reader, reading.layer_reader), 1):
        with pytest.raises(Corrupt):
            await reader.find([layer], ["b"])
        assert reading.corrupt_blocks == reads
    await reading.close()
