"""A file is decoded while it arrives; the same rows are stored the same from any format and chunks."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator
from hashlib import blake2b
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import fair_yield
from storage.errors import Interrupted
from storage.files.errors import FileRefused, FileTooLarge, UnknownEncoding
from storage.files.price_file import FileRows
from storage.prices.row_decoder import SLICE_ROWS
from tests.storage.reading import COMPRESS, arriving, cut, good, read, slices_of, source

LINE = b'{"sku":"%d","amount":"1","currency":"EUR"}\n'

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
skus = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=10)
amounts = st.decimals(0, 10**6, places=2).map(str)
prices = st.fixed_dictionaries(
    {"sku": skus, "amount": amounts, "currency": st.sampled_from(("EUR", "USD"))},
    optional={
        "validFrom": st.dates().map(str),
        "attributes": st.dictionaries(st.sampled_from(("colour", "a.b", "ü")), texts.filter(bool), min_size=1),
        "tiers": st.sets(st.integers(1, 10**6), max_size=3).map(
            lambda quantities: [{"minQuantity": quantity, "amount": "1.00"} for quantity in quantities]
        ),
    },
)


def as_ndjson(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    cells = [dict(_cells(row)) for row in rows]
    columns = ["sku", "amount", "currency", *sorted({name for row in cells for name in row} - _REQUIRED)]
    written = io.StringIO()
    writer = csv.DictWriter(written, columns, restval="")
    writer.writeheader()
    writer.writerows(cells)
    return written.getvalue().encode()


_REQUIRED = {"sku", "amount", "currency"}


def _cells(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if name == "attributes":
            yield from ((f"attributes.{key}", text) for key, text in value.items())
        elif name == "tiers":
            yield from ((f"tier.{tier['minQuantity']}", tier["amount"]) for tier in value)
        else:
            yield name, value


# ---------------------------------------------------------------- formats and chunks


@given(st.lists(prices, max_size=20), st.sampled_from(list(COMPRESS)), st.lists(st.integers(0), max_size=10))
def test_chunks_and_compression_do_not_matter(rows: list[dict[str, Any]], encoding: str, cuts: list[int]) -> None:
    for suffix, text in ((".ndjson", as_ndjson(rows)), (".csv", as_csv(rows))):
        plain = read(f"p{suffix}", text)
        assert (len(plain.rows), plain.errors) == (len(rows), [])
        assert read(f"p{suffix}{encoding}", *cut(COMPRESS[encoding](text), *cuts)) == plain


@given(st.lists(prices, min_size=1, max_size=20))
def test_csv_and_ndjson_of_the_same_prices_are_stored_the_same(rows: list[dict[str, Any]]) -> None:
    assert read("p.csv", as_csv(rows)) == read("p.ndjson", as_ndjson(rows))


@given(st.binary(max_size=200), st.lists(st.integers(0), max_size=10), st.booleans())
def test_chunks_do_not_change_the_errors(junk: bytes, cuts: list[int], header: bool) -> None:
    for name, text in (("p.ndjson", junk), ("p.csv", b"sku,amount,currency\n" * header + junk)):
        try:
            whole = read(name, text)
        except FileRefused as refused:
            with pytest.raises(type(refused)):
                read(name, *cut(text, *cuts))
        else:
            assert read(name, *cut(text, *cuts)) == whole
            indexes = {error.index for error in whole.errors} | set(whole.positions)
            assert indexes == set(range(len(indexes)))


def test_large_files_are_decoded_the_same_in_any_chunks() -> None:
    text = b"".join(LINE % i for i in range(30_000))
    rows = read("p.ndjson", text)
    assert len(rows.rows) == 30_000
    for encoding, compress in COMPRESS.items():
        data = compress(text)
        for size in (1000, 65_536):
            chunks = [data[start : start + size] for start in range(0, len(data), size)]
            assert read(f"p.ndjson{encoding}", *chunks) == rows


def test_no_slice_exceeds_the_limit_of_rows() -> None:
    text = b"".join(LINE % i for i in range(10_000))
    rows = asyncio.run(slices_of(source("p.ndjson", text)))
    assert sum(len(part.rows) for part in rows) == 10_000
    assert max(len(part.rows) for part in rows) == SLICE_ROWS


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["p.ndjson", "P.JSONL", "a.b.ndjson", "/x/y.jsonl", ".ndjson"])
def test_ndjson_is_recognized_by_the_file_name(name: str) -> None:
    assert len(good(name, LINE % 1)) == 1


@pytest.mark.parametrize(
    "name", ["p.json", "p", "", "ndjson", "p.csv.bz2", "p.gz", "p.ndjson.gz.zst", "p.csv/", "p.xlsx"]
)
def test_a_file_name_without_a_supported_extension_is_rejected_at_once(name: str) -> None:
    with pytest.raises(UnknownEncoding, match=r"\.ndjson, \.jsonl or \.csv.*\.gz or \.zst") as refused:
        source(name)
    assert (refused.value.code, refused.value.path) == ("UNKNOWN_ENCODING", ("input", "file"))


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize("encoding", list(COMPRESS))
def test_a_file_over_the_limit_is_rejected_as_soon_as_it_exceeds_it(encoding: str) -> None:
    text = b"".join(LINE % i for i in range(50_000))
    data = COMPRESS[encoding](text)
    assert len(read(f"p.ndjson{encoding}", data, max_bytes=len(text)).rows) == 50_000
    read_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read_bytes
        while True:
            for start in range(0, len(data), 10_000):
                read_bytes += 10_000
                yield data[start : start + 10_000]

    with pytest.raises(FileTooLarge, match="1000000 bytes"):
        asyncio.run(slices_of(FileRows(f"p.ndjson{encoding}", endless(), 1_000_000)))
    assert read_bytes <= 1_300_000


def test_an_error_of_a_file_names_the_argument() -> None:
    with pytest.raises(FileRefused) as refused:
        read("p.ndjson.gz", LINE)
    assert refused.value.path == ("input", "file")


# ---------------------------------------------------------------- the fingerprint


def test_the_fingerprint_is_that_of_the_text_and_known_at_the_end() -> None:
    text = b"".join(LINE % i for i in range(5_000)) + b"nonsense\n"
    for encoding, compress in COMPRESS.items():
        rows = source(f"p.ndjson{encoding}", compress(text))
        assert rows.expected is None
        assert rows.fingerprint is None
        asyncio.run(slices_of(rows))
        assert rows.fingerprint == blake2b(text, digest_size=16).hexdigest()


async def test_draining_computes_the_fingerprint_without_the_rows() -> None:
    rows = source("p.ndjson", LINE % 1, LINE % 2)
    await rows.drain()
    assert rows.fingerprint == blake2b(LINE % 1 + LINE % 2, digest_size=16).hexdigest()


async def test_a_file_read_in_part_can_be_drained_but_not_read_again() -> None:
    text = b"".join(LINE % i for i in range(20_000))
    rows = source("p.ndjson", *cut(text, *range(0, len(text), 10_000)))
    async for _ in rows.slices():
        break
    assert rows.fingerprint is None
    with pytest.raises(Interrupted):
        await slices_of(rows)
    await rows.drain()
    assert rows.fingerprint == blake2b(text, digest_size=16).hexdigest()
    await rows.drain()
    with pytest.raises(Interrupted):
        await slices_of(rows)


async def test_a_file_whose_transfer_failed_never_has_a_fingerprint() -> None:
    async def interrupted() -> AsyncIterator[bytes]:
        yield LINE % 1
        raise Interrupted("connection lost")

    rows = FileRows("p.ndjson", interrupted())
    with pytest.raises(Interrupted, match="connection lost"):
        await slices_of(rows)
    with pytest.raises(Interrupted, match="not read to its end"):
        await rows.drain()
    assert rows.fingerprint is None


# ---------------------------------------------------------------- while it arrives


async def test_rows_are_decoded_before_the_file_is_complete() -> None:
    more = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        for i in range(20_000):
            yield LINE % i
        more.set()
        await asyncio.Event().wait()

    rows = FileRows("p.ndjson", slow()).slices()
    assert len((await anext(rows)).rows) == SLICE_ROWS
    assert not more.is_set()


async def test_other_tasks_run_between_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_yield, "SHARE", 0.0)  # every slice ends a time slice, however fast the machine
    monkeypatch.setattr(fair_yield, "MIN_SLICE_SECONDS", 0.0)
    text = b"".join(LINE % i for i in range(10_000)) + b"\n" * 300_000 + b"x\n" * 5_000
    iterations = 0

    async def others() -> None:
        nonlocal iterations
        while True:
            iterations += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    errors = 0
    async for rows in FileRows("p.ndjson", arriving([text])).slices():
        errors += len(rows.refused)
    running.cancel()
    assert errors == 5_000
    assert iterations > 300
