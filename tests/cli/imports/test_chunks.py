"""Files cut into chunks: always the same ones, nothing lost, whatever stands between the quotes."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.imports import chunks, price_files
from cli.imports.chunks import Chunk, cut
from cli.imports.item_errors import find_lines
from cli.imports.price_files import FileRefused, Format, RowFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VALUE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1, max_size=8)
TABLE = st.lists(st.tuples(VALUE, VALUE), max_size=40)
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples; each overwrites the file of the one before."""
    return tmp_path_factory.mktemp("chunks")


def prices(folder: Path, name: str, content: bytes) -> RowFile:
    path = folder / name
    path.write_bytes(content)
    return RowFile.of_prices(path)


def as_csv(table: list[tuple[str, str]], end: str = "\n") -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([("sku", "attributes.note"), *table])
    return text.getvalue().encode()


def values(chunk: Chunk) -> list[list[str]]:
    """What the server would make of a chunk of CSV."""
    header, *rows = csv.reader(io.StringIO(chunk.file().decode(), newline=""))
    assert header == ["sku", "attributes.note"]
    return rows


# ---------------------------------------------------------------- nothing is lost


@given(TABLE, st.integers(1, 9), st.sampled_from(["\n", "\r\n"]), st.sampled_from(sorted(COMPRESS)))
def test_csv_chunks_hold_every_row_once_and_in_order(
    folder: Path, table: list[tuple[str, str]], chunk_rows: int, end: str, suffix: str
) -> None:
    file = prices(folder, f"prices.csv{suffix}", COMPRESS[suffix](as_csv(table, end)))
    found = list(cut([file], chunk_rows))
    assert [row for chunk in found for row in values(chunk)] == [list(row) for row in table]
    assert all(1 <= len(chunk.rows) <= chunk_rows for chunk in found)


@given(st.lists(VALUE, max_size=40), st.integers(1, 9), st.sampled_from(sorted(COMPRESS)))
def test_ndjson_chunks_hold_every_row_once_and_in_order(
    folder: Path, skus: list[str], chunk_rows: int, suffix: str
) -> None:
    content = "\n".join(json.dumps({"sku": sku}) for sku in skus).encode()
    found = list(cut([prices(folder, f"prices.ndjson{suffix}", COMPRESS[suffix](content))], chunk_rows))
    rows = [json.loads(line) for chunk in found for line in chunk.file().splitlines()]
    assert [row["sku"] for row in rows] == skus
    assert [len(chunk.rows) for chunk in found[:-1]] == [chunk_rows] * (len(found) - 1)


@given(TABLE, st.integers(1, 9))
def test_the_same_file_always_gives_the_same_chunks(
    folder: Path, table: list[tuple[str, str]], chunk_rows: int
) -> None:
    file = prices(folder, "prices.csv", as_csv(table))
    first = list(cut([file], chunk_rows))
    assert list(cut([file], chunk_rows)) == first
    assert [chunk.sequence for chunk in first] == list(range(len(first)))


@given(TABLE)
def test_an_index_leads_back_to_the_line_on_which_its_row_begins(folder: Path, table: list[tuple[str, str]]) -> None:
    content = as_csv(table)
    file = prices(folder, "prices.csv", content)
    found = find_lines([file], set(range(len(table))))
    lines = content.split(b"\n")
    for index, row in enumerate(table):
        behind = b"\n".join(lines[found[index] - 1 :]).decode()
        assert next(csv.reader(io.StringIO(behind, newline=""))) == list(row)


# ---------------------------------------------------------------- the cut


def test_a_line_end_within_quotes_does_not_end_a_row(tmp_path: Path) -> None:
    content = b'sku,attributes.note\nA,"one\r\ntwo ""quoted""\n\rthree\n\n"\nB,"5"" pipe"\nC,5" pipe\n'
    found = list(cut([prices(tmp_path, "prices.csv", content)], 1))
    assert [chunk.rows for chunk in found] == [
        [b'A,"one\r\ntwo ""quoted""\n\rthree\n\n"\n'],
        [b'B,"5"" pipe"\n'],
        [b'C,5" pipe\n'],
    ]


def test_every_chunk_of_a_csv_begins_with_the_header(tmp_path: Path) -> None:
    found = list(cut([prices(tmp_path, "prices.csv", b"\xef\xbb\xbfsku,amount\nA,1\nB,2\n")], 1))
    assert [chunk.file() for chunk in found] == [b"sku,amount\nA,1\n", b"sku,amount\nB,2\n"]


def test_blank_lines_are_no_rows_but_count_as_lines(tmp_path: Path) -> None:
    file = prices(tmp_path, "prices.ndjson", b'\n{"sku": "A"}\n  \n\n{"sku": "B"}')
    assert [chunk.rows for chunk in cut([file], 9)] == [[b'{"sku": "A"}\n', b'{"sku": "B"}\n']]
    assert find_lines([file], {0, 1}) == {0: 2, 1: 5}


def test_wide_rows_make_a_chunk_end_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 10)
    file = prices(tmp_path, "prices.ndjson", b"1234\n1234\n1\n12345678901234\n1\n")
    assert [chunk.file() for chunk in cut([file], 9)] == [b"1234\n1234\n", b"1\n", b"12345678901234\n", b"1\n"]


def test_skus_to_remove_come_behind_the_prices_in_chunks_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_bytes(b"C\r\n\nD \n\xc3\xa9")
    files = [
        prices(tmp_path, "prices.ndjson", b'{"sku": "A"}\n{"sku": "B"}\n{"sku": "E"}\n'),
        RowFile(tmp_path / "gone.txt", Format.SKUS),
    ]
    found = list(cut(files, 2))
    assert [(chunk.sequence, chunk.format, chunk.prices) for chunk in found] == [
        (0, Format.NDJSON, 2),
        (1, Format.NDJSON, 1),
        (2, Format.SKUS, 0),
        (3, Format.SKUS, 0),
    ]
    assert [chunk.skus() for chunk in found[2:]] == [["C", "D "], ["é"]]
    assert find_lines(files, {2, 3, 5}) == {2: 3, 3: 1, 5: 4}


@pytest.mark.parametrize("suffix", sorted(COMPRESS))
def test_what_was_read_for_the_chunks_is_the_file(tmp_path: Path, suffix: str) -> None:
    rows = b"".join(b'{"sku": "%d"}\n' % number for number in range(50_000))
    file = prices(tmp_path, f"prices.jsonl{suffix}", COMPRESS[suffix](rows))
    found = list(cut([file], 1000))
    assert sum(chunk.read for chunk in found) == file.size
    assert sum(chunk.read for chunk in found[:25]) < 0.9 * file.size, "it grows on the way"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"sku,amount\n"])
def test_a_file_without_rows_has_no_chunks(tmp_path: Path, content: bytes) -> None:
    assert list(cut([prices(tmp_path, "prices.csv", content)], 9)) == []


def test_several_compressed_streams_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    for suffix in (".gz", ".zst"):
        content = COMPRESS[suffix](b"1\n2") + COMPRESS[suffix](b"3\n4\n")
        [chunk] = cut([prices(tmp_path, f"prices.ndjson{suffix}", content)], 9)
        assert chunk.file() == b"1\n23\n4\n"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", ["prices", "prices.xlsx", "prices.gz", "prices.csv.bz2"])
def test_a_name_that_does_not_tell_the_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileRefused, match=r"the name must tell the format"):
        prices(tmp_path, name, b"")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_that_was_cut_off_is_refused(tmp_path: Path, suffix: str) -> None:
    rows = b"".join(b'{"sku": "%d"}\n' % number for number in range(50_000))
    whole = COMPRESS[suffix](rows)
    for end in (len(whole) // 2, len(whole) - 1):
        file = prices(tmp_path, f"prices.ndjson{suffix}", whole[:end])
        with pytest.raises(FileRefused, match=r"cannot be decompressed"):
            list(cut([file], 1000))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_file_that_is_not_compressed_as_its_name_says_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileRefused, match=r"cannot be decompressed"):
        list(cut([prices(tmp_path, f"prices.csv{suffix}", b"sku,amount\nA,1\n")], 9))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prices.ndjson", b'{"sku": "A"}\n{"sku": "' + b"x" * 300),
        ("prices.csv", b'sku\nA\n"' + b"x,\n" * 100),
        ("prices.csv", b"sku\nA\n" + b"x" * 300),
    ],
)
def test_a_row_without_end_is_refused_with_its_line_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    monkeypatch.setattr(price_files, "MAX_ROW_BYTES", 200)
    line = 2 if name == "prices.ndjson" else 3
    with pytest.raises(FileRefused, match=rf"{name}, line {line}: the row that begins here is over"):
        list(cut([prices(tmp_path, name, content)], 9))


def test_what_is_no_csv_is_sent_for_the_server_to_refuse(tmp_path: Path) -> None:
    content = b'sku,amount\nA,1\nB\rC,2\nD,"3"x\n\xff,"4'
    [chunk] = cut([prices(tmp_path, "prices.csv", content)], 9)
    assert chunk.rows == [b"A,1\n", b"B\rC,2\n", b'D,"3"x\n', b'\xff,"4\n']


def test_skus_that_are_not_utf_8_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_bytes(b"A\n\xff\n")
    with pytest.raises(FileRefused, match=r"gone\.txt, line 2: this sku is not UTF-8"):
        list(cut([RowFile(tmp_path / "gone.txt", Format.SKUS)], 9))


def test_a_file_that_changes_while_it_is_cut_is_refused(tmp_path: Path) -> None:
    file = prices(tmp_path, "prices.ndjson", b"1\n2\n")
    found = cut([file], 1)
    next(found)
    with file.path.open("ab") as more:
        more.write(b"3\n")
    with pytest.raises(FileRefused, match=r"was changed while it was being read"):
        list(found)
