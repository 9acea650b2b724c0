"""Prices in words: exact percentages, and what else differs."""

from fractions import Fraction

import pytest

from console.widgets.prices import change_cell, differences, percent, percent_text, price_cell
from tests.console.prices import price

HUGE = "9999999999999999999999999999999.99"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("10.00", "12.50", "+25.00 %"),
        ("10.00", "9.995", "-0.05 %"),
        ("3", "1", "-66.67 %"),
        ("1000000", "1000001", "+0.00010 %"),
        ("0.01", "12345.67", "+123,456,600.00 %"),
        ("10", "10.00", "0.00 %"),
        (HUGE, "9999999999999999999999999999999.98", "-1.00e-31 %"),
        ("0.01", HUGE, "+1.00e+35 %"),
    ],
)
def test_the_change_of_an_amount_is_exact_and_never_shown_as_none_if_there_is_one(
    before: str, after: str, shown: str
) -> None:
    change = percent(price(before), price(after))
    assert change is not None
    assert change == (Fraction(after) / Fraction(before) - 1) * 100
    assert percent_text(change) == shown


@pytest.mark.parametrize(
    ("before", "after"),
    [(price("0"), price("1")), (price("1"), price("1", "USD")), (None, price()), (price(), None)],
)
def test_a_change_has_no_percentage_from_0_in_another_currency_or_without_a_price(
    before: object, after: object
) -> None:
    assert percent(before, after) is None  # type: ignore[arg-type]


def test_what_differs_besides_the_amount_is_named() -> None:
    before = price(tiers=[], validFrom="2026-01-01", attributes={"color": "red", "one": 1, "same": [1, {"a": 2}]})
    after = price(
        currency="USD",
        tiers=[{"minQuantity": 2, "amount": "9"}],
        validUntil="2026-12-31",
        attributes={"color": "blue", "one": True, "same": [1, {"a": 2}]},
    )
    words = ["currency", "tiers", "valid from", "valid until", "attribute color", "attribute one"]
    assert differences(before, after) == words
    assert differences(price(attributes=dict.fromkeys("abcde", 1)), price())[-1] == "2 more attributes"
    assert differences(price("1.0"), price("1.00")) == ["digits of the amount"]
    assert differences(price("1"), price("2")) == []


def test_a_change_is_shown_with_its_direction_and_what_else_differs() -> None:
    rise = change_cell(price("10"), price("11", validUntil="2026-12-31"))
    assert (rise["text"], rise["tone"], rise["note"]) == ("▲ +10.00 %", "up", "valid until")
    assert change_cell(price("10"), price("5"))["text"] == "▼ -50.00 %"
    assert change_cell(price("10"), price("10", "USD"))["text"] == "currency"
    assert change_cell(price("0"), price("5"))["text"] == "from 0"
    assert change_cell(price(), price())["text"] == "unchanged"
    assert (change_cell(None, price())["text"], change_cell(price(), None)["text"]) == ("added", "removed")


def test_a_price_is_shown_with_its_terms() -> None:
    tiers = [{"minQuantity": 2, "amount": "9"}, {"minQuantity": 5, "amount": "8"}]
    shown = price_cell(price("12.50", tiers=tiers, validFrom="2026-01-01"))
    assert (shown["text"], shown["note"]) == ("12.50 EUR", "2 tiers · from 2026-01-01")
    assert "note" not in price_cell(price())
    assert price_cell(None)["text"] == "no price"
