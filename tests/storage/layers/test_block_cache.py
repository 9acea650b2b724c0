"""The block cache: never above its budget, hot blocks stay, and equal blocks are kept once."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.layers.block import reopen_block
from storage.layers.block_cache import BlockCache
from storage.layers.cached_layer import CachedLayer, DecodedBlock
from storage.layers.directory import Directory
from storage.prices.price import TOMBSTONE, encode_row
from tests.storage.layers.memory import blocks_of, pages_of

SKUS = [f"sku-{number:05}" for number in range(3000)]

ONE, TWO = encode_row("1.00", "EUR"), encode_row("2.00", "EUR")


class Source:
    """A layer that is not in the cache."""

    def __init__(self, name: str, rows: Mapping[str, bytes]) -> None:
        self.name = name
        self.blocks = blocks_of(rows)
        self.directory = Directory(pages_of(self.blocks))


LAYERS = [
    Source("a", dict.fromkeys(SKUS, ONE)),
    Source("b", {**dict.fromkeys(SKUS, ONE), SKUS[500]: TWO, SKUS[2000]: TWO}),
    Source("c", {**dict.fromkeys(SKUS[::2], ONE), **dict.fromkeys(SKUS[1000:2000], TOMBSTONE)}),
]
"""Two layers whose blocks are nearly all equal, and one with tombstones."""


def filled(cache: BlockCache, source: Source = LAYERS[0]) -> CachedLayer:
    """Return a layer after adding all of its blocks, as reads do."""
    layer = cache.add_layer(source.name, source.directory)
    for index, block in enumerate(source.blocks):
        cache.add(layer, index, block.frame)
    return layer


def kept(layer: CachedLayer) -> list[int]:
    return [index for index in range(len(layer.blocks)) if layer.has(index)]


def check(cache: BlockCache) -> None:
    """Check all numbers of a cache against what it holds."""
    layers = list(cache._layers.values())
    blocks = {id(block): block for layer in layers for block in layer.blocks if block is not None}.values()
    assert cache.frame_bytes == sum(block.frame_bytes for block in blocks if block.frame is not None)
    assert cache.decoded_bytes == sum(block.decoded.bytes for block in blocks if block.decoded) + sum(
        layer.prices_bytes for layer in layers
    )
    assert cache.directory_bytes == sum(layer.directory_bytes for layer in layers)
    assert cache.frame_bytes + cache.decoded_bytes <= cache.room
    assert cache.decoded_bytes <= cache.decoded_limit
    for layer in layers:
        decoded = [block.decoded for block in layer.blocks if block is not None and block.decoded is not None]
        assert layer.undecoded == len(layer.blocks) - len(decoded)
        assert layer.prices == {
            sku: price for each in decoded for sku, price in zip(each.skus, each.prices, strict=True)
        }
        for block in layer.blocks:
            assert block is None or (layer in block.layers and (block.frame or block.decoded))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add idle", "admit", "read", "share", "drop"]),
        st.integers(0, 2),
        st.lists(st.integers(0, 45), min_size=1, max_size=20),
    ),
    max_size=40,
)


@given(budget=st.sampled_from([0, 8_000, 20_000, 60_000, 200_000, 10_000_000]), steps=STEPS)
def test_its_numbers_are_those_of_what_it_holds_and_within_the_budget(
    budget: int, steps: Sequence[tuple[str, int, list[int]]]
) -> None:
    cache = BlockCache(budget)
    for action, number, indexes in steps:
        source = LAYERS[number]
        layer = cache.add_layer(source.name, source.directory)
        for index in indexes:
            if index >= len(source.blocks):
                continue
            if action in {"add", "add idle"}:
                cache.add(layer, index, source.blocks[index].frame, idle_only=action == "add idle")
            elif action == "admit":
                cache.admit(layer, index)
            elif action == "read":
                layer.frame(index), layer.decoded(index)
        if action == "share":
            other = LAYERS[number - 1]
            cache.share(layer, range(len(source.blocks)), cache.add_layer(other.name, other.directory))
        elif action == "drop":
            cache.drop(layer.id)
        check(cache)


def test_blocks_that_are_read_stay_while_others_are_evicted() -> None:
    cache = BlockCache(25_000)
    layer = filled(cache)
    hot = kept(layer)[-5:]
    other = cache.add_layer("c", LAYERS[2].directory)
    for index, block in enumerate(LAYERS[2].blocks):
        for each in hot:
            assert layer.frame(each) is not None
        cache.add(other, index, block.frame)
    assert cache.evictions > 0
    assert set(hot) <= set(kept(layer))


def test_a_block_added_idle_only_evicts_none_that_was_read_lately() -> None:
    cache = BlockCache(LAYERS[0].directory.memory_bytes + 10_000)
    source, layer = LAYERS[0], cache.add_layer("a", LAYERS[0].directory)
    fits = [cache.add(layer, index, block.frame) for index, block in enumerate(source.blocks)]
    assert all(fits)
    before = kept(layer)
    assert len(before) < len(source.blocks)
    missing = next(index for index in range(len(source.blocks)) if not layer.has(index))
    for index in before:
        layer.frame(index)
    assert not cache.add(layer, missing, source.blocks[missing].frame, idle_only=True)
    assert kept(layer) == before
    assert all(block.used for block in layer.blocks if block is not None)
    for block in layer.blocks[before[0]], layer.blocks[before[1]]:
        assert block is not None
        block.used = False
    assert cache.add(layer, missing, source.blocks[missing].frame, idle_only=True)
    assert layer.has(missing)
    assert set(before[2:]) <= set(kept(layer))


def test_equal_blocks_of_two_layers_are_kept_once_until_both_are_dropped() -> None:
    cache = BlockCache()
    first = filled(cache)
    for index in (0, 1):
        cache.admit(first, index)
    frames = cache.frame_bytes
    second = cache.add_layer("b", LAYERS[1].directory)
    cache.share(second, range(len(second.blocks)), first)
    assert cache.frame_bytes == frames
    assert len(kept(second)) == len(second.blocks) - 2
    assert second.prices == first.prices
    cache.drop("a")
    check(cache)
    assert len(kept(second)) == len(second.blocks) - 2
    assert cache.admit(second, 2)
    cache.drop("b")
    assert cache.total_bytes == 0


def test_the_clocks_forget_the_blocks_of_dropped_layers() -> None:
    cache = BlockCache()
    for number in range(20):
        layer = cache.add_layer(str(number), LAYERS[0].directory)
        for index, block in enumerate(LAYERS[0].blocks):
            cache.add(layer, index, block.frame)
            cache.admit(layer, index)
        cache.drop(str(number))
    assert len(cache._frames) + len(cache._decoded) <= 2 * len(LAYERS[0].blocks)


def test_a_layer_that_was_dropped_is_not_filled_again() -> None:
    cache = BlockCache()
    layer = filled(cache)
    cache.drop("a")
    assert not cache.add(layer, 0, LAYERS[0].blocks[0].frame)
    cache.add_decoded(layer, 0, DecodedBlock(reopen_block(LAYERS[0].blocks[0].frame)))
    assert cache.total_bytes == 0
    assert kept(layer) == []


def test_directories_are_dropped_by_their_last_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.layers.block_cache.MIN_DIRECTORY_BYTES", 0)
    cache = BlockCache(12 * LAYERS[0].directory.memory_bytes)
    layers = [cache.add_layer(str(number), LAYERS[0].directory) for number in range(2)]
    for layer in layers:
        layer.used = False
    assert cache.layer("0")
    cache.add_layer("2", LAYERS[0].directory)
    assert [cache.layer(str(number)) is not None for number in range(3)] == [True, False, True]
