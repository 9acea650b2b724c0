"""`pricebook import` of bad files against a real server: what its users read. docs/file-errors.md has more files."""

import gzip
import re
import sys
from pathlib import Path

import pytest

from tests.acceptance.test_import import Server, server

__all__ = ["server"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

PRICE = '{"sku": "A", "amount": "1.50", "currency": "EUR"}'


def imported(server: Server, tmp_path: Path, name: str, content: bytes) -> str:
    """Import a bad file in parts of two rows, and return the output, with DIR for the folder."""
    (tmp_path / name).write_bytes(content)
    arguments = ("--list", re.sub(r"\W", "-", tmp_path.name), "--create", "--part-rows", "2", "--parallel", "1")
    code, output = server.run(tmp_path, str(tmp_path / name), *arguments)
    assert code == 1, output
    return output.replace(str(tmp_path), "DIR")


def test_all_errors_of_all_rows_with_their_lines_in_the_file(server: Server, tmp_path: Path) -> None:
    rows = ["A,3e-07,EUR", "B,1.50,EUR", "", 'C,"12,50",eur', '"D", 1.50,EUR', "B,1.60,EUR"]
    output = imported(server, tmp_path, "prices.csv", "\n".join(["sku,amount,currency", *rows]).encode())
    assert "\n  BATCH_INVALID: 3 of 5 items are not valid; nothing was changed. " in output
    assert output.endswith(
        """
  4 errors in 3 items:
          3  AMOUNT_NOT_DECIMAL
          1  CURRENCY_UNKNOWN

  line 2  AMOUNT_NOT_DECIMAL  amount  sku A
    '3e-07' has an exponent. Write "0.0000003".

  line 5  AMOUNT_NOT_DECIMAL  amount  sku C
    '12,50' has a decimal comma. Write "12.50".

  line 5  CURRENCY_UNKNOWN  currency  sku C
    'eur' is not an ISO 4217 currency code. Did you mean EUR?

  line 6  AMOUNT_NOT_DECIMAL  amount  sku D
    ' 1.50' has spaces around it. Write "1.50".
"""
    )


def test_a_duplicate_sku_has_both_lines_of_the_file(server: Server, tmp_path: Path) -> None:
    rows = ["A,1.50,EUR", "B,1.50,EUR", "", "C,1.50,EUR", "D,1.50,EUR", "A,1.60,EUR", "C,1.70,EUR"]
    output = imported(server, tmp_path, "prices.csv", "\n".join(["sku,amount,currency", *rows]).encode())
    assert output.endswith(
        """
  2 errors in 2 items:
          2  DUPLICATE_SKU

  line 7  DUPLICATE_SKU  sku A
    The sku is also on line 2. Keep one of the two lines.

  line 8  DUPLICATE_SKU  sku C
    The sku is also on line 5. Keep one of the two lines.
"""
    )


def test_a_wrong_header_is_named_once(server: Server, tmp_path: Path) -> None:
    rows = "sku;amount;currency\n" + "A;1.50;EUR\n" * 9
    assert imported(server, tmp_path, "prices.csv", rows.encode()).endswith(
        """
  1 error in the header row:
          1  SEPARATOR_NOT_COMMA

  line 1  SEPARATOR_NOT_COMMA
    The columns are separated by semicolons. In the whole file, separate the columns by commas: Excel saves them as 'CSV UTF-8 (Comma delimited)'.
"""  # noqa: E501
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "array.ndjson",
            f"[\n{PRICE},\n{PRICE},\n{PRICE}\n]\n".encode(),
            "WRONG_FORMAT: The file is a JSON array. Write one object a line, without brackets and commas between "
            "them: `jq -c '.[]'` does so.",
        ),
        (
            "table.ndjson",
            b"sku,amount,currency\nA,1.50,EUR\nB,1.50,EUR\n",
            "WRONG_FORMAT: By its name the file is NDJSON, but it is CSV. Name it .csv.",
        ),
        (
            "utf-16.csv",
            "sku,amount,currency\nA,1.50,EUR\nB,1.50,EUR\n".encode("utf-16"),
            "WRONG_FORMAT: The file is UTF-16, or not text at all. Save it as UTF-8: in Excel as 'CSV UTF-8 (Comma "
            "delimited)'.",
        ),
        (
            "cut.csv.gz",
            gzip.compress(b"sku,amount,currency\nA,1.50,EUR\n")[:-9],
            "DIR/cut.csv.gz cannot be decompressed: it was cut off. Copy or download it again.",
        ),
        (
            "compressed.csv",
            gzip.compress(b"sku,amount,currency\nA,1.50,EUR\n"),
            "DIR/compressed.csv is compressed: its name must end in .gz. Rename it.",
        ),
        ("nothing.csv", b"", "EMPTY_BATCH: The batch has no prices. Send at least one price."),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_file_of_another_format_is_named_as_what_it_is(
    server: Server, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    assert imported(server, tmp_path, name, content).endswith(f"{message}\n")
