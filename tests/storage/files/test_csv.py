"""CSV: the header row names the columns, and each record is a price."""

import asyncio
from difflib import get_close_matches
from unittest.mock import patch

import pytest

from storage.files.errors import LineTooLong
from storage.files.line_blocks import MAX_LINE_BYTES, MIN_BLOCK_BYTES
from storage.prices import suggestions
from storage.prices.price import Price
from tests.storage.reading import bad, good, read, slices_of, source

FULL = b"sku,amount,currency,validFrom,validUntil,attributes.colour,attributes.size,tier.100,tier.5\n"
HEADER = b"sku,amount,currency\n"


def one(header: bytes, record: bytes) -> Price:
    [price] = good("p.csv", header + record)
    return price


def test_a_record_is_a_price() -> None:
    text = FULL + b"a,12.50,EUR,2026-01-01,2026-12-31,red,XL,10.00,12.00\n"
    row = b'{"sku":"a","amount":"12.50","currency":"EUR","validFrom":"2026-01-01","validUntil":"2026-12-31",'
    row += b'"attributes":{"colour":"red","size":"XL"},"tiers":[{"minQuantity":5,"amount":"12.00"},'
    row += b'{"minQuantity":100,"amount":"10.00"}]}'
    assert good("p.csv", text) == good("p.ndjson", row)


def test_an_empty_cell_is_absent() -> None:
    assert one(FULL, b"a,12.50,EUR,,,,,,\n") == one(HEADER, b"a,12.50,EUR\n")


def test_columns_may_be_in_any_order() -> None:
    assert one(b" currency ,tier.005,sku,amount\n", b"EUR,1.20,a,1.50\n") == one(
        b"sku,amount,currency,tier.5\n", b"a,1.50,EUR,1.20\n"
    )


def test_attributes_are_strings_and_may_have_any_name() -> None:
    price = one(b'sku,amount,currency,attributes.a.b,"attributes.x,y",attributes.n\n', b"a,1,EUR,1,true,007\n")
    assert price.attributes == {"a.b": "1", "n": "007", "x,y": "true"}


@pytest.mark.parametrize(
    "text",
    [
        HEADER + b"a,1,EUR\nb,2,USD",
        b"sku,amount,currency\r\na,1,EUR\r\nb,2,USD\r\n",
        b"\n\r\n" + HEADER + b"\na,1,EUR\n\nb,2,USD\n\n",
        b"\xef\xbb\xbf" + HEADER + b"a,1,EUR\nb,2,USD\n",
        b'"sku","amount","currency"\n"a","1","EUR"\n"b","2","USD"\n',
    ],
    ids=["no newline at the end", "CRLF", "empty lines", "byte order mark", "quotes"],
)
def test_line_ends_empty_lines_and_quotes_do_not_matter(text: bytes) -> None:
    assert good("p.csv", text) == good("p.csv", HEADER + b"a,1,EUR\nb,2,USD\n")


def test_a_quoted_cell_may_contain_commas_quotes_and_line_breaks() -> None:
    text = b'sku,amount,currency,attributes.t\na,1,EUR,"one, ""two""\nthree\r\n\n"\nb,1,EUR,x\n'
    first, second = good("p.csv", text)
    assert first.attributes == {"t": 'one, "two"\nthree\r\n\n'}
    assert second.attributes == {"t": "x"}


def test_a_quoted_line_break_may_be_at_the_border_of_a_block() -> None:
    text = b'sku,amount,currency,attributes.t\na,1,EUR,"' + b"line\n" * (MIN_BLOCK_BYTES // 16) + b'"\nb,1,EUR,x\n'
    whole = read("p.csv", text)
    assert [(error.line, error.code) for error in whole.errors] == [(2, "ATTRIBUTES_TOO_LARGE")]
    assert whole.skus == ["b"]
    text = b"sku,amount,currency,attributes.t\n" + b'a%05d,1,EUR,"1\n2"\n' * 20_000 % tuple(range(20_000))
    assert len(text) > MIN_BLOCK_BYTES
    prices = good("p.csv", text)
    assert [price.sku for price in prices] == [f"a{i:05d}" for i in range(20_000)]
    assert {str(price.attributes) for price in prices} == {"{'t': '1\\n2'}"}


def test_lines_are_counted_through_quoted_line_breaks_and_blocks() -> None:
    text = b"sku,amount,currency,attributes.t\n" + b'a%05d,1,EUR,"1\n2"\n' * 20_000 % tuple(range(20_000))
    assert bad("p.csv", text + b'x,1,EUR,"\n\n"\ny,1,ABC,\nz,1,EUR\n') == [
        (20_001, 40_005, "currency", "CURRENCY_UNKNOWN"),
        (20_002, 40_006, None, "ROW_SHORT"),
    ]


def test_a_record_with_too_few_or_too_many_cells_is_rejected() -> None:
    rows = read("p.csv", HEADER + b"a,1,EUR\nb,1\nc\nd,1,EUR,x\n,\n")
    assert [(error.index, error.line, error.sku, error.code) for error in rows.errors] == [
        (1, 3, "b", "ROW_SHORT"),
        (2, 4, "c", "ROW_SHORT"),
        (3, 5, "d", "ROW_LONG"),
        (4, 6, "", "ROW_SHORT"),
    ]
    assert rows.skus == ["a"]


def test_cells_are_validated_as_in_any_row() -> None:
    text = b"sku,amount,currency,validFrom,tier.5\n"
    text += b'a,"1,50",EUR,,\n,1,EUR,,\nc,,EUR,,\nd,1,EUR,20260101,\ne,1,EUR,,x\nf,1,,,\n'
    assert [(index, field, code) for index, _, field, code in bad("p.csv", text)] == [
        (0, "amount", "AMOUNT_NOT_DECIMAL"),
        (1, "sku", "SKU_EMPTY"),
        (2, "amount", "AMOUNT_NOT_DECIMAL"),
        (3, "validFrom", "DATE_INVALID"),
        (4, "tiers", "AMOUNT_NOT_DECIMAL"),
        (5, "currency", "CURRENCY_UNKNOWN"),
    ]


def test_errors_are_in_the_order_of_their_records() -> None:
    rows = read("p.csv", HEADER + b"a,x,EUR\nb,1\nc,1,EUR\nd,1,eur\ne\n")
    assert [(error.index, error.line, error.code) for error in rows.errors] == [
        (0, 2, "AMOUNT_NOT_DECIMAL"),
        (1, 3, "ROW_SHORT"),
        (3, 5, "CURRENCY_UNKNOWN"),
        (4, 6, "ROW_SHORT"),
    ]
    assert (rows.skus, rows.positions) == (["c"], [2])


def test_bytes_that_are_not_utf_8_are_an_error_of_their_record() -> None:
    text = b"sku,amount,currency,attributes.t\na,1,EUR,\xc3\xa9\nb,1,EUR,\xe9\nc\xff,1,EUR,\nd,1,EUR,\xe2\x82\xac\n"
    rows = read("p.csv", text)
    assert [(error.index, error.line, error.sku, error.code) for error in rows.errors] == [
        (1, 3, "b", "ENCODING_INVALID"),
        (2, 4, None, "ENCODING_INVALID"),
    ]
    assert rows.skus == ["a", "d"]


@pytest.mark.parametrize(
    ("record", "line"), [(b'b,"1"x,EUR\n', 3), (b"b,1\rx,EUR\n", 3), (b'b,1,EUR\n"c,1,EUR\nd,1,EUR\n', 4)]
)
def test_a_malformed_record_is_rejected(record: bytes, line: int) -> None:
    assert [(error[1], error[3]) for error in bad("p.csv", HEADER + b"a,1,EUR\n" + record)] == [(line, "ROW_NOT_CSV")]


@pytest.mark.parametrize(
    ("header", "problems"),
    [
        (b"sku,amount,currency,colour", [("colour", "COLUMN_UNKNOWN")]),
        (b"sku,amount,currency,", [("", "COLUMN_UNKNOWN")]),
        (b"sku,amount,currency,attributes.", [("attributes.", "COLUMN_UNKNOWN")]),
        (b"sku,amount,currency,tier.0", [("tier.0", "COLUMN_UNKNOWN")]),
        (b"sku,amount,currency,tier.x", [("tier.x", "COLUMN_UNKNOWN")]),
        (b"sku,amount,currency,tier.2147483648", [("tier.2147483648", "COLUMN_UNKNOWN")]),
        (b"sku,amount,currency,tier.5,tier.05", [("tier.5", "COLUMN_REPEATED")]),
        (b"sku,amount,sku,currency,Sku", [("Sku", "COLUMN_UNKNOWN"), ("sku", "COLUMN_REPEATED")]),
        (b"sku,validFrom", [("amount", "COLUMN_MISSING"), ("currency", "COLUMN_MISSING")]),
        (b'"sku,amount', [(None, "ROW_NOT_CSV")]),
        (b"sku,amount,curr\xe9ncy", [(None, "ENCODING_INVALID")]),
        (b"", [(None, "HEADER_MISSING")]),
    ],
)
def test_a_file_with_an_invalid_header_is_rejected(header: bytes, problems: list[tuple[str | None, str]]) -> None:
    rows = read("p.csv", header + b"\n" + b"a,1,EUR\n" * bool(header))
    assert rows.rows == []
    assert [(error.index, error.line) for error in rows.errors] == [(0, 1)] * len(problems)
    assert [(error.field, error.code) for error in rows.errors] == problems


def test_a_file_with_an_invalid_header_is_still_read_to_its_end() -> None:
    text = b"colour\n" + b"x\n" * MIN_BLOCK_BYTES
    decoded = source("p.csv", text)
    assert any(part.refused for part in asyncio.run(slices_of(decoded)))
    drained = source("p.csv", text)
    asyncio.run(drained.drain())
    assert decoded.fingerprint == drained.fingerprint is not None


def test_an_invalid_header_is_reported_with_its_line() -> None:
    assert bad("p.csv", b"\n\nsku\n")[0][:2] == (0, 3)


def test_a_record_over_the_limit_is_rejected_in_any_chunks() -> None:
    cell = b',"' + b"x" * 100_000 + b'\n"'
    text = HEADER + b"a,1,EUR\nb,1" + cell * (MAX_LINE_BYTES // len(cell) + 1)
    for end in (b"", b"\n", b"\nc,1,EUR\n"):
        for size in (10_000, 1 << 19, len(text) + 100):
            whole = text + end
            with pytest.raises(LineTooLong) as refused:
                read("p.csv", *(whole[start : start + size] for start in range(0, len(whole), size)))
            assert refused.value.line == 3


def test_an_unclosed_quote_is_an_error_of_its_line() -> None:
    text = HEADER + b'a,1,EUR\n"b,1,EUR\n' + b"c,1,EUR\n" * 40_000
    for size in (10_000, len(text)):
        rows = read("p.csv", *(text[start : start + size] for start in range(0, len(text), size)))
        assert (rows.errors[0].line, rows.errors[0].code) == (3, "ROW_NOT_CSV")


def test_a_cell_over_the_limit_is_an_item_error() -> None:
    text = HEADER + b"a,1," + b"x" * 200_000 + b"\nb,1,EUR\n"
    assert bad("p.csv", text) == [(0, 2, None, "ROW_NOT_CSV")]


def test_no_more_names_of_a_header_are_compared_than_errors_are_reported() -> None:
    header = ",".join(f"x{number:05}" for number in range(40_000)).encode()
    suggestions._similar_field.cache_clear()
    with patch("storage.prices.suggestions.get_close_matches", wraps=get_close_matches) as compare:
        assert len(bad("p.csv", header + b"\na,1,EUR\n")) == 100
    assert compare.call_count == 100
