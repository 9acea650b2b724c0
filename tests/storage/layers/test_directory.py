"""Directories: they find blocks as a search of all rows does, and damage is found."""

from collections.abc import Mapping
from sys import getsizeof

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Store
from storage.errors import Corrupt, LayerGone, UnknownFormat
from storage.layers.block import collection_of
from storage.layers.directory import Directory, Root, compress_page, decompress_page, encode_page
from storage.prices.price import TOMBSTONE, encode_row
from storage.prices.sku_range import SkuRange
from tests.storage.layers.memory import arriving, blocks_of, blocks_of_size, pages_of, root_of

SKUS = st.text("abc", min_size=1, max_size=4)
ROWS = st.dictionaries(
    SKUS,
    st.just(TOMBSTONE) | st.sampled_from(["1.00", "2.00"]).map(lambda amount: encode_row(amount, "EUR")),
    min_size=1,
)
ROW = encode_row("1.00", "EUR")


@given(ROWS, st.integers(1, 5), SKUS, SKUS, st.booleans())
def test_a_directory_finds_the_blocks_of_skus_and_ranges(
    rows: Mapping[str, bytes], size: int, low: str, high: str, is_open: bool
) -> None:
    blocks = blocks_of_size(rows, size)
    directory = Directory(pages_of(blocks))
    within = SkuRange(low, None if is_open else high)
    skus = [sorted(rows)[start : start + size] for start in range(0, len(rows), size)]
    assert [directory.entry(index) for index in range(len(directory))] == [block.entry for block in blocks]
    assert (directory.count, len(directory)) == (len(rows), len(blocks))
    for number, of_block in enumerate(skus):
        for sku in of_block:
            assert directory.index(sku) == number
            if sku >= low and (is_open or sku < high):
                assert number in directory.indexes(within)
        if directory.is_within(number, within):
            assert all(sku >= low and (is_open or sku < high) for sku in of_block)
    assert directory.index("") == -1
    assert len(directory.indexes(SkuRange("d"))) == 1  # the last block may have any sku after its first


def test_an_empty_directory_has_no_blocks() -> None:
    directory = Directory([encode_page([])])
    assert (len(directory), directory.count, directory.index("a")) == (0, 0, -1)
    assert not directory.indexes(SkuRange())


def test_a_damaged_byte_of_a_page_is_found() -> None:
    [page] = pages_of(blocks_of({f"s{number:03}": ROW for number in range(200)}))
    frame = compress_page(page)
    assert decompress_page(frame) == page
    for position in range(len(frame)):
        for bit in range(8):
            damaged = bytearray(frame)
            damaged[position] ^= 1 << bit
            try:
                content = decompress_page(bytes(damaged))
            except Corrupt:
                continue
            root, sound = Root(), Root()
            root.add(content)
            sound.add(page)
            # Some bits of a frame's header do not matter: it still has the same content.
            assert content == page or root.hex != sound.hex


def test_skus_of_any_script_are_counted_as_they_are() -> None:
    latin, chinese = (Directory(pages_of(blocks_of({sku: ROW}))) for sku in ("tea", "お茶だ"))
    more = getsizeof(chinese.firsts[0]) - getsizeof(latin.firsts[0])
    assert chinese.memory_bytes - latin.memory_bytes == more > 20


# Damage in the database


async def test_a_damaged_layer_is_proved_damaged(store: Store) -> None:
    blocks = blocks_of({f"s{number:03}": ROW for number in range(500)})
    collection = store.layers_db[collection_of("one")]
    layer = await store.layer_writer.write("one", arriving(blocks))
    assert (layer.count, layer.checksum) == (500, root_of(blocks))
    await store.prover.prove(layer)
    documents = await collection.find().to_list()
    first = blocks[1].entry.first
    for document in documents:
        data, without = bytearray(document["data"]), {"_id": document["_id"], "format": 1}
        data[len(data) // 2] ^= 1
        for damaged in ({**document, "data": bytes(data)}, {**document, "data": "text"}, without):
            await collection.replace_one({"_id": document["_id"]}, damaged)
            with pytest.raises(Corrupt):
                await store.prover.prove(layer)
        await collection.replace_one({"_id": document["_id"]}, {**document, "format": 99})
        with pytest.raises((Corrupt, UnknownFormat), match="format 99"):
            await store.prover.prove(layer)
        await collection.delete_one({"_id": document["_id"]})
        with pytest.raises((Corrupt, LayerGone)):  # without a directory, there is no layer
            await store.prover.prove(layer)
        await collection.insert_one(document)
    await collection.insert_one({**documents[0], "_id": f"{first}-surplus"})
    with pytest.raises(Corrupt, match=f"'{first}-surplus' is not in its directory"):
        await store.prover.prove(layer)
