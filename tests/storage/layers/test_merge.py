"""Versions as segments: they have the rows of a dictionary, and what no newer layer touches is not read."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.layers import merge
from storage.layers.merge import Segments, merged
from storage.prices.price import encode_row
from storage.prices.sku_range import SkuRange
from tests.storage.layers.memory import MemoryLayers
from tests.storage.layers.model import BLOCK_ROWS, LAYERS, RANGES, Rows, newest, stored, within


@given(LAYERS, RANGES, BLOCK_ROWS, st.integers(1, 3))
@settings(max_examples=200)
async def test_merged_rows_equal_those_of_a_dictionary(
    layers: list[Rows], sku_range: SkuRange, block_rows: int, per_read: int
) -> None:
    memory = MemoryLayers()
    reader = memory.reader()
    stack = await reader.layers(stored(memory, layers, block_rows))
    found: list[tuple[str, bytes]] = []
    with patch.object(merge, "BLOCKS_PER_READ", per_read):
        async for rows in merged(reader, stack, sku_range):
            found += zip(*rows, strict=True)
    assert found == list(within(newest(layers), sku_range).items())


@given(LAYERS, RANGES, BLOCK_ROWS)
@settings(max_examples=200)
async def test_segments_follow_each_other_and_copy_blocks_that_no_newer_layer_touches(
    layers: list[Rows], sku_range: SkuRange, block_rows: int
) -> None:
    memory = MemoryLayers()
    reader = memory.reader()
    stack = await reader.layers(stored(memory, layers, block_rows))
    expected, start = within(newest(layers), sku_range), sku_range.low
    above = within(newest(layers[:-1]), sku_range)
    found: dict[str, bytes] = {}
    segments = Segments(reader, stack, sku_range)
    async for segment in segments:
        rows = segment.rows if segment.block is None else await segments.read(segment.block)
        assert all(sku >= start and (segment.end is None or sku < segment.end) for sku in rows.skus)
        inside = [sku for sku in above if sku >= start and (segment.end is None or sku < segment.end)]
        assert (segment.block is None) is bool(inside)
        found.update(zip(*rows, strict=True))
        start = segment.end if segment.end is not None else "d"
    assert list(found.items()) == list(expected.items())


async def test_blocks_that_are_not_touched_are_not_read() -> None:
    memory = MemoryLayers()
    base = {f"s{number:04}": encode_row("1", "EUR") for number in range(1000)}
    layers = stored(memory, [{"s0500": encode_row("2", "EUR"), "t": encode_row("2", "EUR")}, base], 10)
    reader = memory.reader()
    segments = [segment async for segment in Segments(reader, await reader.layers(layers), is_needed=lambda _: False)]
    assert sum(segment.block is None for segment in segments) == 2
    assert memory.fetched == [(layers[0].id, "s0500"), (layers[1].id, "s0500"), (layers[1].id, "s0990")]
