"""A fold of layers has the rows of the newest, in exactly the bytes that one layer with these rows has."""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from storage import Store
from storage.catalog.snapshots import Layer
from storage.layers.block import Block, encode_block
from storage.layers.block_cache import BlockCache
from storage.layers.cutting import BlockCutter
from storage.layers.merge import Segments
from storage.layers.reader import LayerReader
from storage.maintenance.folding import LayerFold
from storage.prices.price import TOMBSTONE, encode_row

Rows = Mapping[str, str | None]
"""Amounts by sku, None for a tombstone."""

SKUS = [f"sku-{number:03}" for number in range(120)]


def encoded(amount: str | None) -> bytes:
    return TOMBSTONE if amount is None else encode_row(amount, "EUR", (), None, None, None)


async def write(store: Store, rows: Rows) -> Layer:
    """Write the layer that has these rows."""

    async def blocks() -> AsyncIterator[Sequence[Block]]:
        cutter = BlockCutter()
        skus = sorted(rows)
        yield cutter.add(skus, [encoded(rows[sku]) for sku in skus])
        yield cutter.finish()

    return await store.layer_writer.write(secrets.token_hex(8), blocks())


async def fold(store: Store, stack: Sequence[Layer], *, whole: bool) -> tuple[Layer, int]:
    """Fold layers, newest first, with a cache that keeps next to nothing; return also the independent count."""
    cache = BlockCache(1 << 30)
    reader = LayerReader(store.compactor._fetcher, cache)
    folding = LayerFold(reader, await reader.layers(stack), whole=whole)
    cache.budget = cache.directory_bytes + 1000
    async with aclosing(folding.blocks()) as blocks:
        return await store.layer_writer.write(secrets.token_hex(8), blocks), folding.distinct_skus


def newest(layers: Sequence[Rows]) -> dict[str, str | None]:
    """The newest row of each sku; the first layer is the newest."""
    found: dict[str, str | None] = {}
    for rows in reversed(layers):
        found |= rows
    return found


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut blocks and ranges so small that a hundred rows have many."""
    monkeypatch.setattr("storage.layers.cutting.CUT_MODULUS", 4)
    monkeypatch.setattr("storage.layers.cutting.MIN_BLOCK_ROWS", 2)
    monkeypatch.setattr("storage.layers.cutting.MAX_BLOCK_ROWS", 9)
    monkeypatch.setattr("storage.maintenance.folding.RANGE_BLOCKS", 1)


LAYERS = st.lists(
    st.dictionaries(st.sampled_from(SKUS), st.sampled_from(["1.00", "2.00", None]), max_size=60), min_size=2, max_size=4
)
BASES = st.dictionaries(st.sampled_from(SKUS), st.sampled_from(["8.00", "9.00", None]), min_size=40)


@given(LAYERS, BASES, st.booleans())
@example([dict.fromkeys(SKUS[::7], "1.00"), dict.fromkeys(SKUS[30:60])], dict.fromkeys(SKUS, "9.00"), True)
@example([dict.fromkeys(SKUS[::7], "1.00"), dict.fromkeys(SKUS[30:60])], dict.fromkeys(SKUS[1:], "9.00"), False)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_fold_equals_a_layer_that_is_written_at_once(
    store: Store, small_blocks: None, layers: list[Rows], base: Rows, whole: bool
) -> None:
    stack = [*layers, base]
    expected = newest(stack)
    folded, distinct = await fold(store, [await write(store, rows) for rows in stack], whole=whole)
    if whole:
        expected = {sku: amount for sku, amount in expected.items() if amount is not None}
    else:
        assert distinct == len(expected)
    assert (folded.count, folded.checksum) == (len(expected), (await write(store, expected)).checksum)
    for layer in await store.layer_writer.all():
        await store.layer_writer.drop(layer)


@pytest.mark.parametrize("whole", [True, False])
async def test_layers_without_a_row_fold_into_one_without_a_row(store: Store, whole: bool) -> None:
    empty = await write(store, {})
    folded, _ = await fold(store, [empty, empty], whole=whole)
    assert (folded.count, folded.checksum) == (empty.count, empty.checksum)


async def test_a_price_that_was_removed_and_never_existed_leaves_no_row(store: Store) -> None:
    only = await write(store, {"a": None, "b": None})
    folded, _ = await fold(store, [await write(store, {}), only], whole=True)
    assert folded.count == 0


async def test_blocks_that_no_newer_layer_touches_are_copied_without_being_decoded(
    store: Store, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = await write(store, dict.fromkeys(SKUS, "1.00"))
    change = await write(store, {SKUS[60]: "2.00"})
    encoded_again: list[int] = []

    def counting(skus: Sequence[str], rows: Sequence[bytes]) -> Block:
        encoded_again.append(len(skus))
        return encode_block(skus, rows)

    monkeypatch.setattr("storage.layers.cutting.encode_block", counting)
    await fold(store, [change, base], whole=True)
    blocks = len((await store.layer_reader.layer(base)).directory)
    assert blocks > 20
    assert len(encoded_again) <= 2, "one is changed, and perhaps the next"


async def test_rows_that_follow_the_oldest_layer_come_in_pieces(store: Store) -> None:
    """Of a list that grew by merges, no more than a few blocks are in memory at once."""
    base = await write(store, {"a": "1.00"})
    grown = await write(store, {f"b-{number:06}": "1.00" for number in range(5000)})
    stack = await store.layer_reader.layers([grown, base])
    sizes = [len(segment.rows.skus) async for segment in Segments(store.layer_reader, stack)]
    assert sum(sizes) == 5001
    assert max(sizes) <= 257
