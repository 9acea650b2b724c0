"""Invalid rows: each is reported with its position, its sku, the field and a stable code."""

import datetime
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.files.json_array import split_rows
from storage.prices.currencies import ACTIVE, WITHDRAWN
from storage.prices.item_error import ItemError, RowRefused
from storage.prices.price import encode_row
from storage.prices.row_checks import MAX_ATTRIBUTES_BYTES, MAX_QUANTITY, MAX_TIERS, check_attributes
from storage.prices.row_decoder import decode_slice, decode_slices
from tests.storage.factories import row, rows
from tests.storage.reading import Decoded, joined

DIGITS_34 = "1" * 34


def rows_in(array: bytes) -> list[msgspec.Raw]:
    return [raw for block in split_rows(array) for raw in block]


def decoded(batch: Sequence[object], first: int = 0) -> Decoded:
    return joined([decode_slice(rows_in(json.dumps(batch).encode()), first)])


def reported(errors: Sequence[ItemError]) -> list[tuple[int, str | None, str | None, str]]:
    return [(error.index, error.sku, error.field, error.code) for error in errors]


def nested(depth: int) -> Any:
    """Return objects nested to a depth."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def tier(quantity: object = 10, amount: object = "0.90", **more: object) -> dict[str, object]:
    return {"minQuantity": quantity, "amount": amount, **more}


@pytest.mark.parametrize(
    ("field", "code", "changes"),
    [
        ("amount", "AMOUNT_NEGATIVE", {"amount": "-1"}),
        ("amount", "AMOUNT_NEGATIVE", {"amount": "-0.50"}),
        *(
            ("amount", "AMOUNT_NOT_DECIMAL", {"amount": amount})
            for amount in (
                *("NaN", "-NaN", "Infinity", "1e5", "1E-2", "", "-", "1.", ".5", " 1", "1 ", "1\n", "+1", "01", "00.5"),
                *("1,50", "1_000", "0x10", "\uff11", "\u0661", "\u00bd", 12.5, 12, None, True, ["1"], {"value": "1"}),
            )
        ),
        ("amount", "AMOUNT_TOO_LONG", {"amount": DIGITS_34 + "1"}),
        ("amount", "AMOUNT_TOO_LONG", {"amount": "0." + DIGITS_34}),
        *(("currency", "CURRENCY_UNKNOWN", {"currency": code}) for code in ("ABC", "eur", "", "EURO", " EUR", "978")),
        ("currency", "FIELD_TYPE", {"currency": 978}),
        ("validUntil", "VALIDITY_INVERTED", {"validFrom": "2026-02-01", "validUntil": "2026-01-31"}),
        ("validFrom", "DATE_INVALID", {"validFrom": "2026-02-30"}),
        ("validFrom", "DATE_INVALID", {"validFrom": "01.02.2026"}),
        ("validFrom", "DATE_INVALID", {"validFrom": "2026-02-01T00:00:00Z"}),
        ("validUntil", "DATE_INVALID", {"validUntil": ""}),
        ("validUntil", "DATE_INVALID", {"validUntil": 20260201}),
        ("attributes", "ATTRIBUTES_TOO_LARGE", {"attributes": {"text": "x" * MAX_ATTRIBUTES_BYTES}}),
        ("attributes", "ATTRIBUTES_TOO_DEEP", {"attributes": nested(9)}),
        ("attributes", "ATTRIBUTES_TOO_DEEP", {"attributes": nested(900)}),
        ("attributes", "ATTRIBUTES_TOO_DEEP", {"attributes": {"a": [[[[[[[[1]]]]]]]]}}),
        ("attributes", "ATTRIBUTES_TOO_LARGE", {"attributes": {"x": "\1" * (MAX_ATTRIBUTES_BYTES // 6)}}),
        ("attributes", "ATTRIBUTES_TOO_LARGE", {"attributes": {"x": [False] * (MAX_ATTRIBUTES_BYTES // 6)}}),
        ("attributes", "ATTRIBUTES_INVALID", {"attributes": {"x": 2**64}}),
        ("attributes", "ATTRIBUTES_INVALID", {"attributes": {"x": [-(2**63) - 1]}}),
        ("attributes", "ATTRIBUTES_INVALID", {"attributes": {"x": 10**40}}),
        ("attributes", "ATTRIBUTES_INVALID", {"attributes": [1]}),
        ("attributes", "ATTRIBUTES_INVALID", {"attributes": "x"}),
        ("tiers", "TIER_QUANTITY_INVALID", {"tiers": [tier(0)]}),
        ("tiers", "TIER_QUANTITY_INVALID", {"tiers": [tier(-1)]}),
        ("tiers", "TIER_QUANTITY_INVALID", {"tiers": [tier(2**31)]}),
        ("tiers", "TIER_QUANTITY_REPEATED", {"tiers": [tier(10, "1"), tier(20), tier(10, "2")]}),
        ("tiers", "TIERS_TOO_MANY", {"tiers": [tier(n) for n in range(1, 102)]}),
        ("tiers", "AMOUNT_NEGATIVE", {"tiers": [tier(amount="-1")]}),
        ("tiers", "AMOUNT_NOT_DECIMAL", {"tiers": [tier(amount="1e5")]}),
        ("tiers", "AMOUNT_TOO_LONG", {"tiers": [tier(amount=DIGITS_34 + "1")]}),
        ("tiers", "FIELD_TYPE", {"tiers": [tier(amount=0.9)]}),
        ("tiers", "FIELD_TYPE", {"tiers": [tier("10")]}),
        ("tiers", "FIELD_TYPE", {"tiers": [tier(1.5)]}),
        ("tiers", "FIELD_TYPE", {"tiers": [{"minQuantity": 1}]}),
        ("tiers", "FIELD_TYPE", {"tiers": [tier(note="x")]}),
        ("tiers", "FIELD_TYPE", {"tiers": tier()}),
        ("colour", "FIELD_UNKNOWN", {"colour": "red"}),
        ("_id", "FIELD_UNKNOWN", {"_id": "x"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_row_is_reported_with_field_and_code(field: str, code: str, changes: dict[str, Any]) -> None:
    batch = [row("first"), {**row("bad"), **changes}, row("last")]
    result = decoded(batch, first=2000)
    assert reported(result.errors) == [(2001, "bad", field, code)]
    assert result.errors[0].message
    assert (result.skus, result.positions) == (["first", "last"], [2000, 2002])
    assert result.rows == decoded([row("first"), row("last")]).rows


@pytest.mark.parametrize(
    ("sku", "code", "reported_sku"),
    [
        ("", "SKU_EMPTY", ""),
        ("x" * 257, "SKU_TOO_LONG", "x" * 256),
        ("€" * 86, "SKU_TOO_LONG", "€" * 86),
        ("a\nb", "SKU_CONTROL_CHARACTER", "a\nb"),
        ("a\0b", "SKU_CONTROL_CHARACTER", "a\0b"),
        ("\x7f", "SKU_CONTROL_CHARACTER", "\x7f"),
        ("\x85", "SKU_CONTROL_CHARACTER", "\x85"),
        ("\u2028", "SKU_CONTROL_CHARACTER", "\u2028"),
        (" ", "SKU_EMPTY", " "),
        ("\u00a0", "SKU_EMPTY", "\u00a0"),
        *((sku, "SKU_SPACES", sku) for sku in (" a", "a ", " a b ", "\u00a0a", "a\u3000", "\u200b ")),
        (5, "FIELD_TYPE", None),
        (None, "FIELD_TYPE", None),
    ],
    ids=repr,
)
def test_an_invalid_sku_is_reported(sku: object, code: str, reported_sku: str | None) -> None:
    batch = [row("first"), {**row(""), "sku": sku}]
    assert reported(decoded(batch).errors) == [(1, reported_sku, "sku", code)]


@pytest.mark.parametrize(
    "sku", ["x" * 256, "€" * 85, "a b", "a\u00a0b", "a/b?c=d&e", "$where", "a.b", "日本", "😀", "\u200b", '"\\']
)
def test_any_other_text_is_a_valid_sku(sku: str) -> None:
    assert reported(decoded([row(sku)]).errors) == []


@pytest.mark.parametrize("name", ["sku", "amount", "currency"])
def test_a_missing_field_is_reported(name: str) -> None:
    incomplete = {field: value for field, value in row("a").items() if field != name}
    sku = None if name == "sku" else "a"
    assert reported(decoded([row("first"), incomplete]).errors) == [(1, sku, name, "FIELD_MISSING")]


@pytest.mark.parametrize("value", [5, "a", None, [], [row("a")], True], ids=repr)
def test_a_row_that_is_not_an_object_is_reported(value: object) -> None:
    assert reported(decoded([row("first"), value]).errors) == [(1, None, None, "ROW_NOT_OBJECT")]


def test_a_row_that_is_not_utf_8_is_reported() -> None:
    batch = b'[{"sku":"a","amount":"1","currency":"EUR"},{"sku":"\xff","amount":"1","currency":"EUR"}]'
    result = joined([decode_slice(rows_in(batch), 0)])
    assert reported(result.errors) == [(1, None, None, "ENCODING_INVALID")]
    assert len(result.rows) == 1


def test_every_invalid_row_of_a_slice_is_reported() -> None:
    batch: list[Any] = [
        row("a", "-1"),
        row("b"),
        7,
        row("c", currency="?"),
        {**row("d"), "x": 1},
        row("e", ""),
        row("f"),
    ]
    result = decoded(batch)
    assert reported(result.errors) == [
        (0, "a", "amount", "AMOUNT_NEGATIVE"),
        (2, None, None, "ROW_NOT_OBJECT"),
        (3, "c", "currency", "CURRENCY_UNKNOWN"),
        (4, "d", "x", "FIELD_UNKNOWN"),
        (5, "e", "amount", "AMOUNT_NOT_DECIMAL"),
    ]
    assert len(result.rows) == 2


def test_an_invalid_row_does_not_change_how_the_others_are_decoded() -> None:
    good = [
        row(
            "a",
            "12.50",
            tiers=[tier(20, "1.0"), tier(10, "2.00")],
            validFrom="2026-01-01",
            attributes={"b": [1, {"z": 1, "a": 2}], "a": 1.5},
        ),
        row("b", "0", validUntil=None, tiers=None, attributes=None),
    ]
    assert decoded([*good, 7]).rows == decoded(good).rows


@pytest.mark.parametrize(
    "limit",
    [
        {"amount": DIGITS_34},
        {"amount": "0." + "1" * 33},
        {"tiers": [tier(n) for n in range(1, 101)]},
        {"tiers": [tier(2**31 - 1)]},
        {"tiers": []},
        {"validFrom": "2026-01-01", "validUntil": "2026-01-01"},
        {"validFrom": "0001-01-01", "validUntil": "9999-12-31"},
        {"attributes": nested(8)},
        {"attributes": {"x": "y" * (MAX_ATTRIBUTES_BYTES - len('{"x":""}'))}},
        {"attributes": {"x": "\1" * (MAX_ATTRIBUTES_BYTES // 6 - 1)}},
        {"attributes": {"x": 2**64 - 1, "y": -(2**63)}},
        {"attributes": {"a\0b": {"\0": "\0"}}},
        {"attributes": {}},
        {"currency": "DEM"},
    ],
    ids=lambda limit: str(limit)[:60],
)
def test_values_at_the_limits_are_valid(limit: dict[str, Any]) -> None:
    assert reported(decoded([{**row("a"), **limit}]).errors) == []


def test_positions_continue_across_slices() -> None:
    batch = rows(2500)
    batch[999]["amount"] = batch[1000]["amount"] = batch[2499]["amount"] = "x"
    slices = list(decode_slices(rows_in(msgspec.json.encode(batch))))
    assert [each.position for part in slices for each in part.refused] == [999, 1000, 2499]
    assert sum(len(each.rows) for each in slices) == 2497


ROWS = st.sampled_from(
    [
        row("a", "1.50", attributes={"x": [1]}),
        row("€" * 60, "0"),
        row("b", DIGITS_34[:-1] + ".1"),
        row("c", tiers=[tier()]),
        row("d", validFrom="2026-01-01", validUntil="2026-01-01"),
    ]
)
BAD_ROWS = st.sampled_from(
    [
        row(""),
        row("€" * 86),
        row("a\n"),
        row("x", "1\n2"),
        row("x", ""),
        row("x", "-1"),
        row("x", currency="eur"),
        row("x", validFrom="2026-01-02", validUntil="2026-01-01"),
        row("x", tiers=[tier(0)]),
        row("x", attributes={"x": 2**64}),
        row("x", attributes=nested(9)),
        row("x", colour="red"),
        {"amount": "1"},
        7,
    ]
)


@given(st.lists(ROWS | BAD_ROWS, max_size=12))
def test_rows_in_a_slice_are_judged_as_each_alone(batch: list[Any]) -> None:
    alone = [decoded([each], position) for position, each in enumerate(batch)]
    assert decoded(batch) == Decoded(
        [sku for each in alone for sku in each.skus],
        [stored for each in alone for stored in each.rows],
        [position for each in alone for position in each.positions],
        [error for each in alone for error in each.errors],
    )


MAX_ROW_BYTES = 65_535
"""Limit of a stored row: a block keeps the lengths of its rows in 16 bits."""

SCALARS = [None, False, 0, -1, -32, 128, 2**16, 2**32, 2**64 - 1, -(2**63), 0.0, -1.5, 1e16, 1.1e-300]
TEXTS = [character * length for character in ("x", "\1", "é") for length in (0, 1, 31, 32, 255, 256, 2000)]


@pytest.mark.parametrize("value", [*SCALARS, *TEXTS], ids=lambda value: repr(value)[:9])
def test_stored_attributes_take_at_most_nine_bytes_for_four_of_json(value: object) -> None:
    for count in (1, 15, 16, 1000):
        shapes: list[Any] = [[value] * count, [[value]] * count, [{"": value}] * count, {}, []]
        members = {f"{number}": value for number in range(count)}
        for attributes in (members, {"": members}, *({"": shape} for shape in shapes), {f"{value}": value}):
            stored, sent = len(msgspec.msgpack.encode(attributes)), len(msgspec.json.encode(attributes))
            assert stored * 4 <= sent * 9
            assert sent <= stored * 6, "a small row could have attributes over the limit"


def test_the_largest_row_has_less_than_64_kib() -> None:
    # A float takes nine bytes in a row, and at least four in JSON, "0.0,".
    floats = [0.0] * ((MAX_ATTRIBUTES_BYTES - len('{"":[]}') + 1) // 4)
    largest = row(
        "a",
        amount := "0." + "1" * 33,
        tiers=[tier(MAX_QUANTITY - n, amount) for n in range(MAX_TIERS)],
        validFrom="2026-01-01",
        validUntil="2026-01-01",
        attributes={"": floats},
    )
    result = decoded([largest])
    assert reported(result.errors) == []
    [stored] = result.rows
    day = datetime.date(2026, 1, 1)
    without = encode_row(amount, "EUR", [(MAX_QUANTITY - n, amount) for n in range(MAX_TIERS)], day, day)
    assert len(without) + MAX_ATTRIBUTES_BYTES * 9 // 4 < MAX_ROW_BYTES
    assert len(stored) > len(without) + (MAX_ATTRIBUTES_BYTES - 16) * 9 // 4, "this row is no longer the largest"


@pytest.mark.parametrize("value", [nested(8), nested(900), 2**64, "x" * MAX_ATTRIBUTES_BYTES], ids=lambda v: str(v)[:9])
def test_an_attribute_that_no_price_can_have_is_refused(value: object) -> None:
    check_attributes({"x": nested(7)})
    with pytest.raises(RowRefused):
        check_attributes({"x": value})


def test_the_current_currencies_are_those_of_iso_4217() -> None:
    assert {currency.alpha_3 for currency in pycountry.currencies} == ACTIVE
    assert not ACTIVE & WITHDRAWN
