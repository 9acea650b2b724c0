"""Quotes and quantity breaks: exact, without rounding."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Price, Quote, QuoteLine, Tier, quote

DIGITS = st.integers(0, 10**34 - 1)
AMOUNTS = st.builds(lambda digits, scale: Decimal(digits).scaleb(-scale), DIGITS, st.integers(0, 33))
QUANTITIES = st.integers(1, 2**31 - 1)


def price(sku: str, amount: str, currency: str = "EUR", **tiers: str) -> Price:
    """Return a price with tiers, given as from_10="0.90"."""
    breaks = (Tier(int(name.removeprefix("from_")), Decimal(tier)) for name, tier in tiers.items())
    return Price(Decimal(amount), currency, tuple(breaks), sku=sku)


TEA = price("tea", "12.50", from_10="11.00", from_100="9.95")


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [(1, "12.50"), (9, "12.50"), (10, "11.00"), (99, "11.00"), (100, "9.95"), (2**31 - 1, "9.95")],
)
def test_the_highest_tier_reached_applies(quantity: int, unit: str) -> None:
    assert str(TEA.unit_amount(quantity)) == unit


def test_a_tier_from_one_overrides_the_amount_of_the_price() -> None:
    assert price("x", "5", from_1="4").unit_amount(1) == 4


@given(AMOUNTS, st.dictionaries(QUANTITIES, AMOUNTS, max_size=5), QUANTITIES)
def test_the_unit_amount_is_that_of_the_largest_quantity_reached(
    amount: Decimal, tiers: dict[int, Decimal], quantity: int
) -> None:
    stored = Price(amount, "EUR", tuple(Tier(*tier) for tier in sorted(tiers.items())))
    reached = [minimum for minimum in tiers if minimum <= quantity]
    assert stored.unit_amount(quantity) == (tiers[max(reached)] if reached else amount)


def test_lines_are_priced_by_their_quantity_and_summed() -> None:
    result = quote(7, [("tea", 10), ("cup", 3), ("tea", 1)], [TEA, price("cup", "0.333"), TEA])
    assert result == Quote(
        7,
        [
            QuoteLine("tea", 10, Decimal("11.00"), Decimal("110.00")),
            QuoteLine("cup", 3, Decimal("0.333"), Decimal("0.999")),
            QuoteLine("tea", 1, Decimal("12.50"), Decimal("12.50")),
        ],
        Decimal("123.499"),
        "EUR",
        complete=True,
    )
    assert str(result.total) == "123.499"


def test_a_line_without_a_price_has_no_amounts_and_prevents_a_total() -> None:
    result = quote(7, [("tea", 1), ("nope", 2)], [TEA, None])
    assert result.lines[1] == QuoteLine("nope", 2, None, None)
    assert result.lines[0].amount == Decimal("12.50")
    assert (result.total, result.currency, result.complete) == (None, None, False)


def test_a_quote_in_several_currencies_is_complete_without_a_total() -> None:
    result = quote(7, [("tea", 1), ("x", 1)], [TEA, price("x", "1", "USD")])
    assert (result.total, result.currency, result.complete) == (None, None, True)


def test_a_quote_without_lines_is_complete_without_a_total() -> None:
    assert quote(7, [], []) == Quote(7, [], None, None, complete=True)


def test_a_total_of_zero_is_a_total() -> None:
    result = quote(7, [("x", 3)], [price("x", "0.00")])
    assert (str(result.total), result.currency) == ("0.00", "EUR")


@given(st.lists(st.tuples(AMOUNTS, QUANTITIES), min_size=1, max_size=5), st.sampled_from([1, 200]))
def test_nothing_is_rounded(lines: list[tuple[Decimal, int]], times: int) -> None:
    lines = lines * times
    result = quote(1, [("x", quantity) for _, quantity in lines], [Price(amount, "EUR") for amount, _ in lines])
    with localcontext() as exact:
        exact.prec = 1000
        assert [line.amount for line in result.lines] == [amount * quantity for amount, quantity in lines]
        assert result.total == sum(amount * quantity for amount, quantity in lines)
