"""NDJSON: one price per line; errors are reported with the line number."""

import pytest

from storage.files.errors import LineTooLong
from storage.files.line_blocks import MAX_LINE_BYTES, MIN_BLOCK_BYTES
from storage.prices.row_decoder import SLICE_ROWS
from tests.storage.reading import bad, good, read, shown, skus

A = b'{"sku":"a","amount":"1.50","currency":"EUR"}'
B = b'{"sku":"b","amount":"2.00","currency":"USD","tiers":[{"minQuantity":5,"amount":"1.80"}],"attributes":{"x":[1]}}'


def lines(count: int) -> bytes:
    return b"".join(b'{"sku":"%08d","amount":"1","currency":"EUR"}\n' % i for i in range(count))


def test_each_line_is_a_price() -> None:
    first, second = good("p.ndjson", A + b"\n" + B + b"\n")
    assert (first["_id"], str(first["amount"]), first["currency"]) == ("a", "1.50", "EUR")
    assert (second["_id"], second["attributes"]) == ("b", {"x": [1]})


@pytest.mark.parametrize(
    "text",
    [
        A + b"\n" + B,
        A + b"\r\n" + B + b"\r\n",
        b"\n\n" + A + b"\n \t\r\n" + B + b"\n\n",
        b"\xef\xbb\xbf" + A + b"\n" + B + b"\n",
        b"  " + A + b"  \n" + B + b" ",
    ],
    ids=["no newline at the end", "CRLF", "blank lines", "byte order mark", "spaces"],
)
def test_line_ends_blank_lines_and_spaces_do_not_matter(text: bytes) -> None:
    assert good("p.ndjson", text) == good("p.ndjson", A + b"\n" + B + b"\n")


def test_a_file_without_lines_has_no_rows() -> None:
    for text in (b"", b"\n", b"\xef\xbb\xbf", b" \n\t\n"):
        assert good("p.ndjson", text) == []


def test_an_error_names_the_line_and_the_index_of_its_row() -> None:
    text = b"\n".join((A, b"", b'{"sku":"c","amount":1,"currency":"EUR"}', b"", b"", b"nonsense", B))
    rows = read("p.ndjson", text)
    assert [(error.index, error.line, error.sku, error.field, error.code) for error in rows.errors] == [
        (1, 3, "c", "amount", "AMOUNT_NOT_DECIMAL"),
        (2, 6, None, None, "ROW_NOT_JSON"),
    ]
    assert skus(rows) == ["a", "b"]


def test_lines_are_counted_across_blocks() -> None:
    text = lines(20_000)
    assert len(text) > 3 * MIN_BLOCK_BYTES
    assert bad("p.ndjson", text + b"\nx\n") == [(20_000, 20_002, None, "ROW_NOT_JSON")]


def test_bytes_that_are_not_utf_8_are_an_error_of_their_line() -> None:
    text = A + b'\n{"sku":"\xff\xfe","amount":"1","currency":"EUR"}\n' + B
    assert bad("p.ndjson", text) == [(1, 2, None, "ENCODING_INVALID")]


def test_each_line_must_be_exactly_one_price() -> None:
    assert [error[:2] for error in bad("p.ndjson", A.replace(b",", b",\n"))] == [(i, i + 1) for i in range(3)]
    assert bad("p.ndjson", A + B) == [(0, 1, None, "ROW_NOT_JSON")]
    assert bad("p.ndjson", A + b"," + B) == [(0, 1, None, "ROW_NOT_JSON")]
    assert bad("p.ndjson", b"[" + A + b"]") == [(0, 1, None, "ROW_NOT_OBJECT")]


def test_positions_start_at_the_given_one() -> None:
    rows = read("p.ndjson", A + b"\nx\n" + B, first=1 << 32)
    assert [error.index - (1 << 32) for error in rows.errors] == [1]
    assert int.from_bytes(rows.documents[1][-9:-1], "little") == (1 << 32) + 2


def test_a_line_at_the_limit_is_decoded() -> None:
    padded = A + b" " * (MAX_LINE_BYTES - len(A))
    assert len(good("p.ndjson", padded + b"\n" + B)) == 2


@pytest.mark.parametrize("end", [b"", b"\n", b"\n" + B])
def test_a_line_over_the_limit_is_rejected_in_any_chunks(end: bytes) -> None:
    text = A + b"\n\n" + A + b" " * (MAX_LINE_BYTES - len(A) + 1) + end
    for size in (10_000, 1 << 19, len(text)):
        with pytest.raises(LineTooLong) as refused:
            read("p.ndjson", *(text[start : start + size] for start in range(0, len(text), size)))
        assert refused.value.line == 3


def test_slices_are_small() -> None:
    rows = read("p.ndjson", lines(3 * SLICE_ROWS + 1))
    assert len(rows.documents) == 3 * SLICE_ROWS + 1
    assert shown(rows.errors) == ""
