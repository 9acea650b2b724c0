"""Reads of versions, from memory and from the database: as a dictionary that has the layers applied in order."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.layers.block_cache import BlockCache
from storage.layers.memory_reader import MAX_OPENED, MISSING, MemoryReader
from storage.layers.reader import LayerReader
from storage.prices.price import Price
from tests.storage.layers.memory_layers import MemoryFetcher, MemoryLayer

SKUS = [f"{number:03}" for number in range(0, 600, 2)]
ALL = [f"{number:03}" for number in range(-1, 602)]

Amounts = Mapping[str, str | None]


class Version:
    """A version of some layers, oldest first, and what it has by a dictionary."""

    def __init__(self, layers: Sequence[Amounts], budget: int) -> None:
        sources = [MemoryLayer(str(depth), amounts) for depth, amounts in enumerate(layers)][::-1]
        merged = {sku: amount for amounts in layers for sku, amount in amounts.items()}
        self.prices = {sku: amount for sku, amount in merged.items() if amount is not None}
        self.layers = [source.layer for source in sources]
        self.fetcher = MemoryFetcher(*sources)
        self.cache = BlockCache(budget)
        self.reader = LayerReader(self.fetcher, self.cache)
        self.memory = MemoryReader(self.cache)

    def page(self, limit: int, after: str | None, before: str | None, backward: bool) -> list[str]:
        within = [
            sku for sku in sorted(self.prices) if (after is None or sku > after) and (before is None or sku < before)
        ]
        return within[max(0, len(within) - limit) :] if backward else within[:limit]

    async def check(self, reads: Sequence["Read"]) -> None:
        for read in reads:
            found = await self.reader.find(self.layers, read.skus)
            assert amounts(found.values()) == {sku: self.prices[sku] for sku in read.skus if sku in self.prices}
            assert {sku: price.sku for sku, price in found.items()} == {sku: sku for sku in found}
            page = await self.reader.page(self.layers, **read.window)
            assert [price.sku for price in page] == self.page(**read.window)
            assert amounts(page) == {price.sku: self.prices[price.sku] for price in page}
            self.check_memory(read)

    def check_memory(self, read: "Read") -> None:
        stack = self.memory.stack(self.layers)
        assert stack is not None, "the directories are in memory after a read"
        prices = self.memory.prices(stack, read.skus)
        if prices is not None:
            assert [price and str(price.amount) for price in prices] == [self.prices.get(sku) for sku in read.skus]
        for sku in read.skus:
            price = self.memory.price(stack, sku)
            if price is not MISSING:
                assert (price and str(price.amount)) == self.prices.get(sku)
        page = self.memory.page(stack, **read.window)
        if page is not None:
            assert [price.sku for price in page] == self.page(**read.window)
        if self.cache.budget > 1 << 20:
            assert page is not None
            assert prices is not None or len(read.skus) > MAX_OPENED


class Read:
    """A look-up of skus, and a page."""

    def __init__(self, skus: list[str], limit: int, after: str | None, before: str | None, backward: bool) -> None:
        self.skus = skus
        self.window: dict[str, Any] = {"limit": limit, "after": after, "before": before, "backward": backward}


def amounts(prices: Any) -> dict[str, str]:
    return {price.sku: str(price.amount) for price in prices if isinstance(price, Price)}


ENDS = st.none() | st.sampled_from(ALL)
READS = st.lists(
    st.builds(
        Read, st.lists(st.sampled_from(ALL), max_size=20, unique=True), st.integers(1, 400), ENDS, ENDS, st.booleans()
    ),
    min_size=1,
    max_size=6,
)
AMOUNTS = st.dictionaries(
    st.sampled_from(SKUS), st.none() | st.sampled_from(["1.00", "2.50"]), min_size=1, max_size=300
)
BASES = AMOUNTS | st.sampled_from([dict.fromkeys(SKUS, "3.00"), dict.fromkeys(SKUS[::3], "3.00")])


@given(base=BASES, merges=st.lists(AMOUNTS, max_size=3), reads=READS, budget=st.sampled_from([0, 30_000, 10_000_000]))
@settings(deadline=None)
async def test_reads_find_what_the_layers_make_of_each_sku(
    base: Amounts, merges: list[Amounts], reads: list[Read], budget: int
) -> None:
    await Version([base, *merges], budget).check(reads)


@pytest.fixture
def version() -> Version:
    return Version([dict.fromkeys(SKUS, "1.00"), {SKUS[0]: "2.00"}], 10_000_000)


async def test_missing_blocks_are_fetched_once(version: Version) -> None:
    for _ in range(2):
        await version.reader.find(version.layers, SKUS)
    assert sorted(version.fetcher.fetched) == sorted([*firsts(version, "0"), SKUS[0]])


def firsts(version: Version, layer: str) -> list[str]:
    return version.fetcher.layers[layer].directory.firsts


async def test_a_look_up_in_memory_does_not_open_more_than_some_blocks() -> None:
    version = Version([dict.fromkeys([f"{number:06}" for number in range(20_000)], "1.00")], 10_000_000)
    [layer] = await version.reader.layers(version.layers)
    assert await version.reader.load(layer, range(len(layer.blocks)))
    skus = layer.directory.firsts
    assert len(skus) > MAX_OPENED
    assert version.memory.prices([layer], skus) is None
    prices = version.memory.prices([layer], skus[: MAX_OPENED // 2])
    assert prices is not None
    assert None not in prices
    assert len(await version.reader.find(version.layers, skus)) == len(skus)


async def test_a_block_that_is_evicted_by_decoding_another_is_still_read(version: Version) -> None:
    await version.reader.find(version.layers, SKUS)
    version.cache.budget = version.cache.total_bytes + 500
    assert len(await version.reader.find(version.layers, SKUS)) == len(SKUS)
