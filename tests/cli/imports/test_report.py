"""The report of invalid items: how often each code occurs, then the first errors of each code."""

import os
import re
import shutil
import sys
from typing import Any

import pytest

from cli.imports.batch_api import BatchRequest, Outcome
from cli.imports.report import report

REQUEST = BatchRequest("eu", "REPLACE", "k", "WHEN_VALID", None, None)

DUPLICATE = "The sku is also on line 2. Keep one of the two lines."
UNKNOWN = "'eur' is not an ISO 4217 currency code. Did you mean EUR?"


def error(index: int, code: str, field: str | None, message: str, **more: object) -> dict[str, Any]:
    return {
        "index": index,
        "line": index + 2,
        "sku": f"S{index}",
        "field": field,
        "code": code,
        "message": message,
        **more,
    }


def printed(capsys: pytest.CaptureFixture[str], errors: list[dict[str, Any]], count: int) -> list[str]:
    batch = {"id": "b1", "state": "FAILED", "findings": [], "summary": None, "errors": errors, "errorCount": count}
    invalid = {"code": "BATCH_INVALID", "message": f"{count} of 900 items are not valid; nothing was changed."}
    report(REQUEST, Outcome(batch, None, [invalid]))
    return capsys.readouterr().out.splitlines()


def test_totals_come_before_examples(capsys: pytest.CaptureFixture[str]) -> None:
    negative = "'-1' is negative. Write an amount of at least 0, or leave the item out."
    errors = [error(index, "AMOUNT_NEGATIVE", "amount", negative) for index in range(200)]
    errors += [error(4, "CURRENCY_UNKNOWN", "currency", UNKNOWN), error(300, "DUPLICATE_SKU", "sku", DUPLICATE)]
    assert printed(capsys, errors, 201) == [
        "Batch b1 of eu is FAILED: nothing is published.",
        "  BATCH_INVALID: 201 of 900 items are not valid; nothing was changed.",
        "",
        "  202 errors in 201 items:",
        "        200  AMOUNT_NEGATIVE",
        "          1  CURRENCY_UNKNOWN",
        "          1  DUPLICATE_SKU",
        "",
        "  line 2  AMOUNT_NEGATIVE  amount  sku S0",
        f"    {negative}",
        "",
        "  line 3  AMOUNT_NEGATIVE  amount  sku S1",
        f"    {negative}",
        "",
        "  line 4  AMOUNT_NEGATIVE  amount  sku S2",
        f"    {negative}",
        "",
        "  line 6  CURRENCY_UNKNOWN  currency  sku S4",
        f"    {UNKNOWN}",
        "",
        "  line 302  DUPLICATE_SKU  sku S300",
        f"    {DUPLICATE}",
        "",
        "  and 197 more errors: --errors-to FILE writes them",
    ]


def test_if_not_all_errors_are_stored_all_invalid_items_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    errors = [error(index, "SKU_EMPTY", "sku", "The sku is empty.") for index in range(1000)]
    assert "  40,000 invalid items; 1,000 errors of the first 1,000:" in printed(capsys, errors, 40_000)


def test_control_characters_and_markup_are_printed_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    bad = error(1, "SKU_CONTROL_CHARACTER", "sku", "[bold] \x1b[31m", sku="[red]\x1b[31m:smile:", line=None)
    lines = printed(capsys, [bad], 1)
    assert r"  item 1  SKU_CONTROL_CHARACTER  sku [red]\x1b[31m:smile:" in lines
    assert r"    [bold] \x1b[31m" in lines


def test_no_code_is_on_two_lines_of_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    codes = ["SKU_CONTROL_CHARACTER", "TIER_QUANTITY_REPEATED", "ATTRIBUTES_TOO_LARGE"]
    errors = [
        error(12_345_678 + number, code, "a" * 30, "word " * number + f"{code} " * 3, sku="s" * 256)
        for number, code in enumerate(codes * 10)
    ]
    lines = printed(capsys, errors, 30)
    for line in lines:
        on_screen = [line[start : start + 80] for start in range(0, len(line), 80)]
        for code in codes:
            assert sum(each.count(code) for each in on_screen) == line.count(code)
    assert all(len(line) <= 80 for line in lines if not re.search(r"  sku s+$", line))
