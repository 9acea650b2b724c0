"""A JSON array is split into its rows, wherever its blocks end."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import InvalidArgument
from storage.files.json_array import SPLIT_BYTES, split_rows

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.sampled_from('a"\\{}[],: '), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a},", max_size=3), inner, max_size=3),
    max_leaves=8,
)
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")])


def split(array: bytes, block_bytes: int = SPLIT_BYTES) -> list[Any]:
    return [json.loads(bytes(raw)) for block in split_rows(array, block_bytes) for raw in block]


@given(st.lists(values, max_size=20), separators, st.integers(1, 60))
def test_the_rows_are_those_of_the_array_wherever_blocks_end(
    rows: list[Any], separators: tuple[str, str], block_bytes: int
) -> None:
    array = json.dumps(rows, separators=separators).encode()
    assert split(array, block_bytes) == rows
    assert split(memoryview(array), block_bytes) == rows  # type: ignore[arg-type]


def test_a_large_array_is_split_into_many_blocks() -> None:
    rows = [{"sku": str(number), "tiers": [{"minQuantity": 1}, {"minQuantity": 2}]} for number in range(20_000)]
    array = json.dumps(rows).encode()
    blocks = [len(block) for block in split_rows(array)]
    assert sum(blocks) == 20_000
    assert max(blocks) < 6_000


@pytest.mark.parametrize("block_bytes", [1, SPLIT_BYTES])
@pytest.mark.parametrize(
    "text",
    ["", "x", "5", "null", '"x"', "[", "[1", "[1,]", "[{},]", "[{}, {}", "[1] x", '[{"sku":"\\ud800"}]'],
    ids=repr,
)
def test_input_that_is_not_an_array_of_rows_is_rejected(text: str, block_bytes: int) -> None:
    with pytest.raises(InvalidArgument, match="must be a list"):
        split(text.encode(), block_bytes)


def test_a_deeply_nested_array_is_rejected() -> None:
    with pytest.raises(InvalidArgument, match="recursion"):
        split(b"[" * 100_000)


def test_a_single_row_is_a_list_of_one() -> None:
    assert list(split_rows(b'{"sku": "a"}')) == [[msgspec.Raw(b'{"sku": "a"}')]]
