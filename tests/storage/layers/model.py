"""A model of layers: dictionaries of rows by sku, with tombstones; the newest layer first."""

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from storage import Layer
from storage.prices.price import TOMBSTONE, encode_row
from storage.prices.sku_range import SkuRange
from tests.storage.layers.memory import MemoryLayers, blocks_of_size

Rows = Mapping[str, bytes]

SKUS = st.text("abc", min_size=1, max_size=3)
STORED = st.just(TOMBSTONE) | st.sampled_from(["1", "2", "3"]).map(lambda amount: encode_row(amount, "EUR"))
LAYER = st.dictionaries(SKUS, STORED, max_size=25)
LAYERS = st.lists(LAYER, min_size=1, max_size=4)
RANGES = st.builds(SkuRange, st.just("") | SKUS, st.none() | SKUS)
BLOCK_ROWS = st.integers(1, 6)


def newest(layers: Sequence[Rows]) -> dict[str, bytes]:
    """The newest row of each sku, tombstones included, in sku order."""
    rows: dict[str, bytes] = {}
    for layer in reversed(layers):
        rows.update(layer)
    return dict(sorted(rows.items()))


def visible(layers: Sequence[Rows]) -> dict[str, bytes]:
    """The rows of the prices of a version, in sku order."""
    return {sku: row for sku, row in newest(layers).items() if row != TOMBSTONE}


def within(rows: Rows, sku_range: SkuRange) -> dict[str, bytes]:
    """The rows within a range."""
    low, high = sku_range.low, sku_range.high
    return {sku: row for sku, row in rows.items() if sku >= low and (high is None or sku < high)}


def stored(memory: MemoryLayers, layers: Sequence[Rows], block_rows: int) -> list[Layer]:
    """Store layers with blocks of some rows each."""
    return [memory.add(rows, blocks_of_size(rows, block_rows)) for rows in layers]
