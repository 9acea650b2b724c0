"""NDJSON: one price per line; errors are reported with the line number."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.files.errors import LineTooLong
from storage.files.line_blocks import MAX_LINE_BYTES, MIN_BLOCK_BYTES
from storage.prices.row_decoder import SLICE_ROWS, decode_each
from tests.storage.reading import bad, good, joined, read, shown

A = b'{"sku":"a","amount":"1.50","currency":"EUR"}'
B = b'{"sku":"b","amount":"2.00","currency":"USD","tiers":[{"minQuantity":5,"amount":"1.80"}],"attributes":{"x":[1]}}'


def lines(count: int) -> bytes:
    return b"".join(b'{"sku":"%08d","amount":"1","currency":"EUR"}\n' % i for i in range(count))


def test_each_line_is_a_price() -> None:
    first, second = good("p.ndjson", A + b"\n" + B + b"\n")
    assert (first.sku, str(first.amount), first.currency) == ("a", "1.50", "EUR")
    assert (second.sku, second.attributes) == ("b", {"x": [1]})


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
    assert rows.skus == ["a", "b"]


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
    assert bad("p.ndjson", A + b"\n[" + A + b"]") == [(1, 2, None, "ROW_NOT_OBJECT")]


HEAD = b'{"sku":"c","amount":"1","currency":"EUR",'
LINES = st.sampled_from(
    [
        A,
        B,
        A + b" ",
        A + b"," + B,
        A + b"],[" + B,
        b"[" + A + b"]",
        b"[" + A,
        A + b"]",
        HEAD + b'"attributes":{"x":[{}',
        b"{}]}}",
        b"1]}}",
        HEAD + b'"tiers":[{"minQuantity":1,"amount":"1"}',
        b'{"minQuantity":2,"amount":"1"}]}',
        HEAD[:-1],
        b'"tiers":null}',
        b'"',
        b",",
        b"",
        b"\x0b",
        b"\xff",
    ]
)


@given(st.lists(LINES, max_size=8))
@settings(max_examples=300)
def test_lines_are_decoded_as_each_alone(texts: list[bytes]) -> None:
    texts = [A, *texts]  # other beginnings may be those of another format
    rows = read("p.ndjson", b"\n".join(texts))
    numbered = [(number, text) for number, text in enumerate(texts, 1) if text.strip()]
    assert rows == joined([decode_each([text for _, text in numbered], 0, [number for number, _ in numbered])])


def test_a_row_on_two_lines_is_not_balanced_by_two_rows_on_a_line() -> None:
    split = HEAD + b'"tiers":[{"minQuantity":1,"amount":"1"}\n{"minQuantity":2,"amount":"1"}]}'
    rows = read("p.ndjson", A + b"," + B + b"\n" + split)
    assert [error.line for error in rows.errors] == [1, 2, 3]
    assert rows.rows == []


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
    assert len(rows.rows) == 3 * SLICE_ROWS + 1
    assert shown(rows.errors) == ""
