"""Blocks: every row comes back, equal rows have equal bytes, and damage is found."""

import datetime
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import Corrupt
from storage.layers.block import MAX_CONTENT_BYTES, BlockStats, encode_block, open_block
from storage.prices.price import TOMBSTONE, encode_row

DAYS = [datetime.date(2026, 1, 1), datetime.date(2026, 6, 30)]
VALUES: list[Any] = ["red", "", 1, 1.5, True, None, [1, "x"], {"b": 1, "a": [True]}, "é" * 40]
PRICE_ROWS = st.builds(
    encode_row,
    st.sampled_from(["0", "1.00", "1.0", "99999.99", "9" * 34, "0." + "0" * 33 + "1"]),
    st.sampled_from(["EUR", "USD"]),
    st.sampled_from([(), ((2, "0.50"), (10, "0.4"))]),
    st.none() | st.sampled_from(DAYS),
    st.none() | st.sampled_from(DAYS),
    st.dictionaries(st.sampled_from(["color", "a.b", ""]), st.sampled_from(VALUES), max_size=3),
)
ROWS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6),
    PRICE_ROWS | st.just(TOMBSTONE),
    min_size=1,
    max_size=40,
)


@given(ROWS)
def test_every_row_comes_back(rows: Mapping[str, bytes]) -> None:
    skus = sorted(rows)
    block = encode_block(skus, [rows[sku] for sku in skus])
    content = open_block(block.frame, block.entry.hash)
    assert content.skus == skus
    assert content.rows() == [rows[sku] for sku in skus]
    assert [bytes(content.row(index)) for index in range(len(skus))] == content.rows()
    prices = content.prices()
    assert [content.price(index) for index in range(len(skus))] == prices
    assert [price and price.sku for price in prices] == [None if rows[sku] == TOMBSTONE else sku for sku in skus]
    assert [head and head.amount for head in content.heads()] == [price and price.amount for price in prices]
    assert [each and each.amount for each in content.amounts()] == [price and price.amount for price in prices]
    assert list(content.prices_among(range(len(skus)))) == [index for index, price in enumerate(prices) if price]
    for part in (b"color", b"EUR", content.rows()[-1]):
        assert set(content.containing(part)) >= {index for index, row in enumerate(content.rows()) if part in row}
        assert (content.count(part) > 0) >= any(part in row for row in content.rows())
    entry = block.entry
    assert entry.first == skus[0]
    assert (entry.rows, entry.tombstones) == (len(skus), list(rows.values()).count(TOMBSTONE))
    assert entry.row_bytes == sum(map(len, rows.values()))


def test_the_stats_of_a_block_bound_its_prices() -> None:
    rows = [
        encode_row("10.00", "USD", valid_from=DAYS[0]),
        TOMBSTONE,
        encode_row("9.5", "EUR", valid_from=DAYS[1], valid_until=DAYS[1]),
    ]
    stats = encode_block(["a", "b", "c"], rows).entry.stats
    assert stats == BlockStats("9.5", "10.00", ("EUR", "USD"), "2026-01-01", None)
    assert encode_block(["a"], [TOMBSTONE]).entry.stats == BlockStats(None, None, (), None, None)


def test_a_damaged_byte_is_found() -> None:
    skus = [f"sku-{number}" for number in range(20)]
    rows = [encode_row(f"{number}.00", "EUR", attributes={"name": f"Item {number}"}) for number in range(19)]
    block = encode_block(skus, [*rows, TOMBSTONE])
    sound = open_block(block.frame, block.entry.hash)
    for position in range(len(block.frame)):
        for bit in range(8):
            damaged = bytearray(block.frame)
            damaged[position] ^= 1 << bit
            try:
                content = open_block(bytes(damaged), block.entry.hash)
            except Corrupt:
                continue
            # Some bits of a frame's header do not matter: it still has the same content.
            assert (content.skus, content.rows()) == (sound.skus, sound.rows())


@pytest.mark.parametrize("length", range(0, 60, 7))
def test_a_truncated_frame_is_found(length: int) -> None:
    block = encode_block(["a", "b"], [encode_row("1.00", "EUR"), encode_row("2.00", "USD")])
    with pytest.raises(Corrupt):
        open_block(block.frame[: min(length, len(block.frame) - 1)], block.entry.hash)
    with pytest.raises(Corrupt):
        open_block(block.frame + b"\0" * (length + 1), block.entry.hash)


def test_a_frame_of_an_impossible_length_is_not_decompressed() -> None:
    row = encode_row("1.00", "EUR", attributes={"x": "y" * 60_000})
    block = encode_block([f"{number:03}" for number in range(20)], [row] * 20)
    assert sum(map(len, [row] * 20)) > MAX_CONTENT_BYTES
    with pytest.raises(Corrupt, match="impossible length"):
        open_block(block.frame, block.entry.hash)
