"""Sources of rows: a JSON array, which can be read any number of times, and a file."""

from hashlib import blake2b

import pytest

from storage import InvalidArgument
from storage.files.row_source import JsonRows, RowSource
from storage.prices.row_decoder import SLICE_ROWS
from tests.storage.reading import Decoded, joined, source

ROWS = b'[{"sku":"a","amount":"1","currency":"EUR"},{"sku":"b","amount":1,"currency":"EUR"}]'


async def collect(rows: RowSource) -> Decoded:
    return joined([part async for part in rows.slices()])


async def test_a_json_array_has_a_size_and_a_fingerprint() -> None:
    rows = await JsonRows.read(memoryview(ROWS))
    assert rows.expected == 2
    assert rows.fingerprint == blake2b(ROWS, digest_size=16).hexdigest()
    await rows.drain()


async def test_a_json_array_can_be_read_twice() -> None:
    rows = await JsonRows.read(ROWS)
    whole = await collect(rows)
    assert await collect(rows) == whole
    assert (whole.skus, whole.positions) == (["a"], [0])
    assert [(error.index, error.line) for error in whole.errors] == [(1, None)]


async def test_a_json_array_is_decoded_in_slices() -> None:
    array = b"[" + b",".join([b'{"sku":"a","amount":"1","currency":"EUR"}'] * (SLICE_ROWS + 1)) + b"]"
    sizes = [len(part.rows) async for part in (await JsonRows.read(array)).slices()]
    assert sizes == [SLICE_ROWS, 1]


async def test_input_that_is_not_an_array_is_rejected() -> None:
    with pytest.raises(InvalidArgument):
        await JsonRows.read(b'"x"')


async def test_a_file_and_an_array_of_the_same_rows_give_the_same_rows() -> None:
    lines = ROWS.strip(b"[]").replace(b"},{", b"}\n{")
    file: RowSource = source("p.ndjson", lines)
    array: RowSource = await JsonRows.read(ROWS)
    assert (await collect(file)).rows == (await collect(array)).rows
