"""Reads of versions equal those of a dictionary, whatever the cache holds; misses are fetched together."""

import asyncio
from collections.abc import Mapping, Sequence
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import MISSING, Layer, Price, Store
from storage.errors import Corrupt, LayerGone, UnknownFormat
from storage.layers.block import collection_of
from storage.layers.fetcher import MAX_SMALL_FINDS, BlockFetcher
from storage.layers.memory_reader import MAX_OPENED, MemoryReader
from storage.layers.reader import LayerReader
from storage.prices.price import TOMBSTONE, decode_row, encode_row
from storage.prices.sku_range import SkuRange
from tests.storage.layers.memory import MemoryLayers, arriving, blocks_of
from tests.storage.layers.model import BLOCK_ROWS, LAYERS, RANGES, SKUS, Rows, newest, stored, visible, within

BUDGETS = st.sampled_from([0, 1, 300, 1000, 5000, 1 << 20])
"""Budgets of the cache in bytes, from none to enough for everything."""

PRICE = encode_row("1.00", "EUR")


@given(LAYERS, BLOCK_ROWS, BUDGETS, st.lists(st.lists(SKUS, max_size=8), min_size=1, max_size=5))
@settings(max_examples=200)
async def test_look_ups_equal_those_of_a_dictionary(
    layers: list[Rows], block_rows: int, budget: int, look_ups: list[list[str]]
) -> None:
    memory = MemoryLayers()
    version, reader = stored(memory, layers, block_rows), memory.reader(budget)
    prices = {sku: decode_row(sku, row) for sku, row in visible(layers).items()}
    for skus in look_ups:
        check_memory(reader, version, skus, prices)
        assert await reader.find(version, skus) == {sku: prices[sku] for sku in skus if sku in prices}
        rows = newest(layers)
        assert await reader.find_rows(version, skus) == {sku: rows[sku] for sku in skus if sku in rows}
        assert reader.cache.frame_bytes + reader.cache.decoded_bytes <= budget


def check_memory(
    reader: LayerReader, version: Sequence[Layer], skus: Sequence[str], prices: Mapping[str, Price | None]
) -> None:
    """Check that what is read from memory is right."""
    memory = MemoryReader(reader.cache)
    stack = memory.stack(version)
    if stack is not None:
        assert memory.prices(stack, skus) in (None, [prices.get(sku) for sku in skus])
        for sku in skus:
            assert memory.price(stack, sku) in (MISSING, prices.get(sku))


def page_in_memory(
    reader: LayerReader, version: Sequence[Layer], limit: int, place: Mapping[str, object]
) -> list[str] | None:
    """The skus of a page, read from memory."""
    memory = MemoryReader(reader.cache)
    stack = memory.stack(version)
    page = None if stack is None else memory.page(stack, limit, **place)  # type: ignore[arg-type]
    return None if page is None else [price.sku for price in page]


@given(
    LAYERS,
    BLOCK_ROWS,
    BUDGETS,
    RANGES,
    st.lists(st.tuples(st.integers(1, 8), st.none() | SKUS, st.none() | SKUS, st.booleans()), min_size=1, max_size=5),
)
@settings(max_examples=200)
async def test_pages_equal_those_of_a_dictionary(
    layers: list[Rows],
    block_rows: int,
    budget: int,
    sku_range: SkuRange,
    pages: list[tuple[int, str | None, str | None, bool]],
) -> None:
    memory = MemoryLayers()
    version, reader = stored(memory, layers, block_rows), memory.reader(budget)

    def page_of(rows: Rows, limit: int, after: str | None, before: str | None, backward: bool) -> list[str]:
        skus = [sku for sku in rows if (after is None or sku > after) and (before is None or sku < before)]
        return skus[-limit:] if backward else skus[:limit]

    for limit, after, before, backward in pages:
        place = {"after": after, "before": before, "backward": backward}
        expected = page_of(visible(layers), limit, after, before, backward)
        assert page_in_memory(reader, version, limit, place) in (None, expected)
        page = await reader.page(version, limit, **place)  # type: ignore[arg-type]
        assert [price.sku for price in page] == expected
        assert page_in_memory(reader, version, limit, place) == expected or budget < 1 << 20
        found = await reader.page(version, limit, within=sku_range, **place)  # type: ignore[arg-type]
        expected = page_of(within(visible(layers), sku_range), limit, after, before, backward)
        assert [price.sku for price in found] == expected
        assert reader.cache.frame_bytes + reader.cache.decoded_bytes <= budget


async def test_a_look_up_in_memory_opens_only_some_blocks() -> None:
    memory = MemoryLayers()
    version = [memory.add({f"s{number:05}": PRICE for number in range(20_000)})]
    reader = memory.reader()
    [layer] = await reader.layers(version)
    assert await reader.load(layer, range(len(layer.blocks)))
    skus = layer.directory.firsts
    assert len(skus) > MAX_OPENED
    assert MemoryReader(reader.cache).prices([layer], skus) is None
    assert MemoryReader(reader.cache).prices([layer], skus[: MAX_OPENED // 2])
    assert len(await reader.find(version, skus)) == len(skus)


async def test_a_block_that_is_evicted_while_others_are_decoded_is_still_read() -> None:
    memory = MemoryLayers()
    version = [memory.add({f"s{number:05}": PRICE for number in range(20_000)})]
    reader = memory.reader()
    [layer] = await reader.layers(version)
    assert await reader.load(layer, range(len(layer.blocks)))
    reader.cache.budget = reader.cache.total_bytes + 500
    skus = layer.directory.firsts
    assert len(await reader.find(version, skus)) == len(skus)
    assert reader.cache.evictions


# On a server


async def written(store: Store, count: int) -> Layer:
    rows = {f"s{number:04}": PRICE for number in range(count)}
    return await store.layer_writer.write("one", arriving(blocks_of(rows)))


async def test_misses_of_one_turn_go_in_one_find(store: Store) -> None:
    layer = await written(store, 5000)
    reader, finds = store.layer_reader, list[int]()
    await reader.layer(layer)
    find = BlockFetcher._find

    async def counted(self: BlockFetcher, layer_id: str, each: object) -> None:
        finds.append(len(each.indexes))  # type: ignore[attr-defined]
        await find(self, layer_id, each)  # type: ignore[arg-type]

    async def look_up(skus: Sequence[str]) -> None:
        assert list(await reader.find([layer], skus)) == list(skus)

    with patch.object(BlockFetcher, "_find", counted):
        await asyncio.gather(*(look_up([f"s{number:04}"]) for number in range(0, 5000, 50)))
        [blocks] = finds
        assert blocks <= 100
        await asyncio.gather(*(look_up([f"s{number:04}"]) for number in range(0, 5000, 50)))
        assert len(finds) == 1


async def test_a_block_that_is_being_fetched_is_not_fetched_again(store: Store) -> None:
    layer = await written(store, 2000)
    reader = LayerReader(BlockFetcher(store.layers_db), store.layer_reader.cache)
    cached, running, peak = await reader.layer(layer), 0, 0
    fetched: list[int] = []
    find = BlockFetcher._find

    async def counted(self: BlockFetcher, layer_id: str, each: object) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        fetched.extend(each.indexes)  # type: ignore[attr-defined]
        await find(self, layer_id, each)  # type: ignore[arg-type]
        running -= 1

    async def contents(turn: int) -> None:
        for _ in range(turn):
            await asyncio.sleep(0)
        await reader.contents(cached, [turn % 5, (turn + 1) % 5])

    with patch.object(BlockFetcher, "_find", counted):
        await asyncio.gather(*map(contents, range(10)))
    assert peak <= MAX_SMALL_FINDS + 1
    assert len(fetched) == len(set(fetched))


async def test_a_block_of_an_unknown_format_is_refused_by_name(store: Store) -> None:
    layer = await written(store, 200)
    await store.layers_db[collection_of("one")].update_one({"_id": "s0000"}, {"$set": {"format": 99}})
    with pytest.raises(UnknownFormat, match="block 's0000' of layer one has format 99"):
        await store.layer_reader.find([layer], ["s0001"])
    await store.layers_db[collection_of("one")].update_one({"_id": 0}, {"$set": {"format": 99}})
    store.block_cache.drop("one")
    with pytest.raises(UnknownFormat, match=r"directory.* has format 99"):
        await store.layer_reader.find([layer], ["s0001"])


async def test_a_damaged_block_is_refused_and_a_dropped_layer_is_gone(store: Store) -> None:
    layer = await written(store, 200)
    collection = store.layers_db[collection_of("one")]
    assert len(await store.layer_reader.find([layer], ["s0199"])) == 1
    [last] = await collection.find({"_id": {"$lte": "s0199"}}).sort("_id", -1).limit(1).to_list()
    await collection.update_one({"_id": "s0000"}, {"$set": {"data": last["data"]}})
    with pytest.raises(Corrupt, match="The block 's0000' of layer one is damaged"):
        await store.layer_reader.find([layer], ["s0001"])
    await collection.delete_one({"_id": "s0000"})
    with pytest.raises(Corrupt, match="does not exist"):
        await store.layer_reader.find([layer], ["s0001"])
    await collection.drop()
    with pytest.raises(LayerGone):
        await store.layer_reader.find([layer], ["s0001"])
    assert len(await store.layer_reader.find([layer], ["s0199"])) == 1  # from the cache


async def test_a_page_does_not_read_all_tombstones_of_a_newer_layer() -> None:
    memory = MemoryLayers()
    base = memory.add({f"s{number:06}": PRICE for number in range(50_000)})
    removals = memory.add({f"s{number:06}": TOMBSTONE for number in range(10_000, 40_000)})
    reader = memory.reader()
    assert len(await reader.page([removals, base], 10)) == 10
    assert len(memory.fetched) < 20
    page = await reader.page([removals, base], 10, after="s009995")
    assert [price.sku for price in page] == [
        f"s{number:06}" for number in (*range(9996, 10_000), *range(40_000, 40_006))
    ]
