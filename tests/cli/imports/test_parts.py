"""Files split into parts: always the same parts, and no row is lost, whatever the quotes contain."""

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

from cli.imports import parts as module
from cli.imports import price_files
from cli.imports.item_errors import find_rows
from cli.imports.parts import Part, split
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
    """One folder for all examples; each overwrites the file of the previous one."""
    return tmp_path_factory.mktemp("parts")


def prices(folder: Path, name: str, content: bytes) -> RowFile:
    path = folder / name
    path.write_bytes(content)
    return RowFile.of_prices(path)


def lines_of(files: list[RowFile], indexes: set[int]) -> dict[int, int]:
    """The line of each row, by its index."""
    return {index: row.line for index, row in find_rows(files, indexes).items()}


def as_csv(table: list[tuple[str, str]], end: str = "\n") -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([("sku", "attributes.note"), *table])
    return text.getvalue().encode()


def values(part: Part) -> list[list[str]]:
    """The rows of a part as the server reads them."""
    header, *rows = csv.reader(io.StringIO(part.file().decode(), newline=""))
    assert header == ["sku", "attributes.note"]
    return rows


# ---------------------------------------------------------------- completeness


@given(TABLE, st.integers(1, 9), st.sampled_from(["\n", "\r\n"]), st.sampled_from(sorted(COMPRESS)))
def test_csv_parts_have_every_row_once_and_in_order(
    folder: Path, table: list[tuple[str, str]], part_rows: int, end: str, suffix: str
) -> None:
    file = prices(folder, f"prices.csv{suffix}", COMPRESS[suffix](as_csv(table, end)))
    parts = list(split([file], part_rows))
    assert [row for part in parts for row in values(part)] == [list(row) for row in table]
    assert all(1 <= len(part.rows) <= part_rows for part in parts)


@given(st.lists(VALUE, max_size=40), st.integers(1, 9), st.sampled_from(sorted(COMPRESS)))
def test_ndjson_parts_have_every_row_once_and_in_order(
    folder: Path, skus: list[str], part_rows: int, suffix: str
) -> None:
    content = "\n".join(json.dumps({"sku": sku}) for sku in skus).encode()
    parts = list(split([prices(folder, f"prices.ndjson{suffix}", COMPRESS[suffix](content))], part_rows))
    rows = [json.loads(line) for part in parts for line in part.file().splitlines()]
    assert [row["sku"] for row in rows] == skus
    assert [len(part.rows) for part in parts[:-1]] == [part_rows] * (len(parts) - 1)


@given(TABLE, st.integers(1, 9))
def test_the_same_file_always_gives_the_same_parts(folder: Path, table: list[tuple[str, str]], part_rows: int) -> None:
    file = prices(folder, "prices.csv", as_csv(table))
    first = list(split([file], part_rows))
    assert list(split([file], part_rows)) == first
    assert [part.sequence for part in first] == list(range(len(first)))


@given(TABLE)
def test_an_index_is_mapped_to_the_first_line_of_its_row(folder: Path, table: list[tuple[str, str]]) -> None:
    content = as_csv(table)
    file = prices(folder, "prices.csv", content)
    numbers = lines_of([file], set(range(len(table))))
    lines = content.split(b"\n")
    for index, row in enumerate(table):
        rest = b"\n".join(lines[numbers[index] - 1 :]).decode()
        assert next(csv.reader(io.StringIO(rest, newline=""))) == list(row)


# ---------------------------------------------------------------- boundaries


def test_a_line_end_within_quotes_does_not_end_a_row(tmp_path: Path) -> None:
    content = b'sku,attributes.note\nA,"one\r\ntwo ""quoted""\n\rthree\n\n"\nB,"5"" pipe"\nC,5" pipe\n'
    parts = list(split([prices(tmp_path, "prices.csv", content)], 1))
    assert [part.rows for part in parts] == [
        [b'A,"one\r\ntwo ""quoted""\n\rthree\n\n"\n'],
        [b'B,"5"" pipe"\n'],
        [b'C,5" pipe\n'],
    ]


def test_every_part_of_a_csv_begins_with_the_header(tmp_path: Path) -> None:
    parts = list(split([prices(tmp_path, "prices.csv", b"\xef\xbb\xbfsku,amount\nA,1\nB,2\n")], 1))
    assert [part.file() for part in parts] == [b"sku,amount\nA,1\n", b"sku,amount\nB,2\n"]


def test_blank_lines_are_skipped_but_counted_as_lines(tmp_path: Path) -> None:
    file = prices(tmp_path, "prices.ndjson", b'\n{"sku": "A"}\n  \n\n{"sku": "B"}')
    assert [part.rows for part in split([file], 9)] == [[b'{"sku": "A"}\n', b'{"sku": "B"}\n']]
    assert lines_of([file], {0, 1}) == {0: 2, 1: 5}


def test_large_rows_end_a_part_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PART_BYTES", 10)
    file = prices(tmp_path, "prices.ndjson", b"1234\n1234\n1\n12345678901234\n1\n")
    assert [part.file() for part in split([file], 9)] == [b"1234\n1234\n", b"1\n", b"12345678901234\n", b"1\n"]


def test_skus_to_remove_follow_the_prices_in_separate_parts(tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_bytes(b"C\r\n\nD \n\xc3\xa9")
    files = [
        prices(tmp_path, "prices.ndjson", b'{"sku": "A"}\n{"sku": "B"}\n{"sku": "E"}\n'),
        RowFile.at(tmp_path / "gone.txt", Format.SKUS),
    ]
    parts = list(split(files, 2))
    assert [(part.sequence, part.format, part.prices) for part in parts] == [
        (0, Format.NDJSON, 2),
        (1, Format.NDJSON, 1),
        (2, Format.SKUS, 0),
        (3, Format.SKUS, 0),
    ]
    assert [part.skus() for part in parts[2:]] == [["C", "D "], ["é"]]
    assert lines_of(files, {2, 3, 5}) == {2: 3, 3: 1, 5: 4}


@pytest.mark.parametrize("suffix", sorted(COMPRESS))
def test_the_bytes_read_add_up_to_the_file(tmp_path: Path, suffix: str) -> None:
    rows = b"".join(b'{"sku": "%d"}\n' % number for number in range(50_000))
    file = prices(tmp_path, f"prices.jsonl{suffix}", COMPRESS[suffix](rows))
    parts = list(split([file], 1000))
    assert sum(part.read_bytes for part in parts) == file.size
    assert sum(part.read_bytes for part in parts[:25]) < 0.9 * file.size, "it grows from part to part"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"sku,amount\n"])
def test_a_file_without_rows_has_no_parts(tmp_path: Path, content: bytes) -> None:
    assert list(split([prices(tmp_path, "prices.csv", content)], 9)) == []


def test_concatenated_compressed_streams_are_one_file(tmp_path: Path) -> None:
    for suffix in (".gz", ".zst"):
        content = COMPRESS[suffix](b"1\n2") + COMPRESS[suffix](b"3\n4\n")
        [part] = split([prices(tmp_path, f"prices.ndjson{suffix}", content)], 9)
        assert part.file() == b"1\n23\n4\n"


# ---------------------------------------------------------------- refused files


@pytest.mark.parametrize("name", ["prices", "prices.xlsx", "prices.gz", "prices.csv.bz2"])
def test_a_name_without_a_known_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileRefused, match=r"the name must end in \.ndjson"):
        prices(tmp_path, name, b"")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_truncated_compressed_file_is_refused(tmp_path: Path, suffix: str) -> None:
    rows = b"".join(b'{"sku": "%d"}\n' % number for number in range(50_000))
    whole = COMPRESS[suffix](rows)
    for end in (len(whole) // 2, len(whole) - 1):
        file = prices(tmp_path, f"prices.ndjson{suffix}", whole[:end])
        with pytest.raises(FileRefused, match=r"cannot be decompressed: it was cut off. Copy or download it again\."):
            list(split([file], 1000))


@pytest.mark.parametrize(("suffix", "name"), [(".gz", "p.csv"), (".zst", "p.csv"), (".zst", "p.csv.gz")])
def test_a_file_that_is_compressed_in_another_way_than_its_name_implies_is_refused(
    tmp_path: Path, suffix: str, name: str
) -> None:
    with pytest.raises(FileRefused, match=rf"is compressed: its name must end in {suffix}. Rename it\."):
        list(split([prices(tmp_path, name, COMPRESS[suffix](b"sku,amount\nA,1\n"))], 9))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_file_that_is_not_compressed_as_its_name_implies_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileRefused, match=rf"is not compressed, although its name ends in {suffix}. Rename it\."):
        list(split([prices(tmp_path, f"prices.csv{suffix}", b"sku,amount\nA,1\n")], 9))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prices.ndjson", b'{"sku": "A"}\n{"sku": "' + b"x" * 300),
        ("prices.csv", b'sku\nA\n"' + b"x,\n" * 100),
        ("prices.csv", b"sku\nA\n" + b"x" * 300),
    ],
)
def test_an_endless_row_is_refused_with_its_line_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    monkeypatch.setattr(price_files, "MAX_ROW_BYTES", 200)
    line = 2 if name == "prices.ndjson" else 3
    with pytest.raises(FileRefused, match=rf"{name}, line {line}: the row that starts here is larger than"):
        list(split([prices(tmp_path, name, content)], 9))


def test_malformed_csv_is_sent_for_the_server_to_refuse(tmp_path: Path) -> None:
    content = b'sku,amount\nA,1\nB\rC,2\nD,"3"x\n\xff,"4'
    [part] = split([prices(tmp_path, "prices.csv", content)], 9)
    assert part.rows == [b"A,1\n", b"B\rC,2\n", b'D,"3"x\n', b'\xff,"4\n']


def test_skus_that_are_not_utf_8_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "gone.txt").write_bytes(b"A\n\xff\n")
    with pytest.raises(FileRefused, match=r"gone\.txt, line 2: this sku is not UTF-8"):
        list(split([RowFile.at(tmp_path / "gone.txt", Format.SKUS)], 9))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = prices(tmp_path, "prices.ndjson", b"1\n2\n")
    parts = split([file], 1)
    next(parts)
    with Path(file.name).open("ab") as more:
        more.write(b"3\n")
    with pytest.raises(FileRefused, match=r"was changed while it was read"):
        list(parts)
