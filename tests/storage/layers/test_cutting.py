"""The cut rule: blocks depend on the rows alone, however they arrive, and a change stays local."""

import itertools
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.layers import cutting
from storage.layers.block import MAX_CONTENT_BYTES, Block, open_block
from storage.layers.cutting import MAX_BLOCK_BYTES, MAX_BLOCK_ROWS, MIN_BLOCK_ROWS, BlockCutter
from storage.prices.price import TOMBSTONE, encode_row
from tests.storage.layers.memory import blocks_of, root_of

NUMBERS = st.integers(0, 150)
LENGTHS = st.just(0) | st.just(0) | st.integers(1, 120)


@contextmanager
def small_blocks() -> Iterator[None]:
    """Cut so that a few rows make many blocks, some of them by their length."""
    with patch.multiple(cutting, CUT_MODULUS=4, MIN_BLOCK_ROWS=3, MAX_BLOCK_ROWS=9, MAX_BLOCK_BYTES=150):
        yield


def sku(number: int) -> str:
    return f"s{number:04}"


def row(amount: int, length: int = 0) -> bytes:
    return encode_row(str(amount), "EUR", attributes={"x": "y" * length} if length else None)


def many(count: int, amount: int = 1) -> dict[str, bytes]:
    return {sku(number): row(amount) for number in range(count)}


def changed(before: list[Block], after: list[Block]) -> int:
    """The number of blocks of a list that another does not have."""
    return len({block.frame for block in after} - {block.frame for block in before})


@given(
    st.dictionaries(NUMBERS.map(sku), st.builds(row, st.integers(0, 9), LENGTHS) | st.just(TOMBSTONE), min_size=1),
    st.integers(0, 2**32),
)
def test_rows_give_the_same_bytes_in_whatever_order_and_runs_they_arrive(rows: Mapping[str, bytes], seed: int) -> None:
    chance = random.Random(seed)
    with small_blocks():
        expected = blocks_of(rows)
        items = list(rows.items())
        chance.shuffle(items)
        blocks, cutter, left = list[Block](), BlockCutter(), sorted(items)
        while left:
            size = chance.randint(0, 8)
            run, left = left[:size], left[size:]
            blocks += cutter.add([each for each, _ in run], [each for _, each in run])
        blocks += cutter.finish()
        assert blocks == expected
        assert root_of(blocks) == root_of(expected)
        found = [open_block(block.frame, block.entry.hash) for block in blocks]
        assert [pair for content in found for pair in zip(content.skus, content.rows(), strict=True)] == sorted(items)


@given(st.lists(st.integers(0, 100_000), unique=True, min_size=1, max_size=1500))
@settings(max_examples=30)
def test_a_block_ends_where_the_rule_says(numbers: list[int]) -> None:
    blocks = blocks_of({sku(number): row(1) for number in numbers})
    for block in blocks[:-1]:
        assert MIN_BLOCK_ROWS <= block.entry.rows <= MAX_BLOCK_ROWS
    for block, following in itertools.pairwise(blocks):
        content = open_block(block.frame, block.entry.hash)
        assert block.entry.rows == MAX_BLOCK_ROWS or cutting.cuts(MIN_BLOCK_ROWS, 0, following.entry.first)
        assert not any(cutting.cuts(MIN_BLOCK_ROWS, 0, each) for each in content.skus[MIN_BLOCK_ROWS:])


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("as_rows", [False, True])
def test_copied_blocks_give_the_blocks_of_the_plain_rows(seed: int, as_rows: bool) -> None:
    chance = random.Random(seed)
    base = {chance.randint(0, 150): (1, chance.choice([0, 0, 0, 120])) for _ in range(chance.randint(1, 150))}
    edits = {chance.randint(0, 150): chance.choice([None, None, (2, 0), (1, 90)]) for _ in range(chance.randint(0, 25))}
    with small_blocks():
        before = {sku(number): row(*price) for number, price in base.items()}
        after = dict(before)
        for number, price in edits.items():
            if price is None:
                after.pop(sku(number), None)
            else:
                after[sku(number)] = row(*price)
        cutter, blocks, blocks_before = BlockCutter(), list[Block](), blocks_of(before)
        ends = [*(block.entry.first for block in blocks_before[1:]), "t"]
        start = ""
        for block, end in zip(blocks_before, ends, strict=True):
            touched = any(start <= sku(number) < end for number in edits)
            if touched or as_rows:
                within = [each for each in sorted(after) if start <= each < end]
                blocks += cutter.add(within, [after[each] for each in within])
            else:
                blocks += cutter.add_block(block)
            start = end
        blocks += cutter.finish()
        assert blocks == blocks_of(after)


@pytest.mark.parametrize("number", [0, 1, 2500, 4999])
def test_a_changed_price_changes_one_block(number: int) -> None:
    before = many(5000)
    assert changed(blocks_of(before), blocks_of({**before, sku(number): row(2)})) == 1


@given(st.integers(0, 4999), st.booleans())
@settings(max_examples=15)
def test_a_sku_that_is_added_or_removed_changes_few_blocks(number: int, removed: bool) -> None:
    before = many(5000)
    after = dict(before)
    if removed:
        del after[sku(number)]
    else:
        after[f"{sku(number)}-1"] = row(1)
    assert changed(blocks_of(before), blocks_of(after)) <= 8


def test_blocks_of_long_rows_end_by_their_length() -> None:
    rows = {sku(number): row(number, 16_000 + 300 * number) for number in range(50)}
    blocks = blocks_of(rows)
    for block in blocks[:-1]:
        last = open_block(block.frame, block.entry.hash).rows()[-1]
        assert MAX_BLOCK_BYTES <= block.entry.row_bytes < MAX_BLOCK_BYTES + len(last)
        assert block.entry.row_bytes < MAX_CONTENT_BYTES
    found = [open_block(block.frame, block.entry.hash) for block in blocks]
    assert {
        each: stored for content in found for each, stored in zip(content.skus, content.rows(), strict=True)
    } == rows


@pytest.mark.parametrize("length", [40_000, 65_500])
def test_rows_around_the_limit_come_back(length: int) -> None:
    rows = {sku(number): row(1, length if number == 20 else 0) for number in range(40)}
    blocks = blocks_of(rows)
    found = [open_block(block.frame, block.entry.hash) for block in blocks]
    assert [stored for content in found for stored in content.rows()] == [rows[each] for each in sorted(rows)]
