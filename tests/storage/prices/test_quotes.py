"""Quotes and quantity breaks: exact, whatever the digits."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Price, Quote, QuoteLine, Tier, quote

DIGITS = st.integers(0, 10**34 - 1)
AMOUNTS = st.builds(lambda digits, scale: Decimal(digits).scaleb(-scale), DIGITS, st.integers(0, 33))
QUANTITIES = st.integers(1, 2**31 - 1)


def price(sku: str, amount: str, currency: str = "EUR", **tiers: str) -> Price:
    """A price with tiers, as from_10="0.90"."""
    breaks = (Tier(int(name.removeprefix("from_")), Decimal(tier)) for name, tier in tiers.items())
    return Price(sku, Decimal(amount), currency, tuple(breaks))


TEA = price("tea", "12.50", from_10="11.00", from_100="9.95")


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [(1, "12.50"), (9, "12.50"), (10, "11.00"), (99, "11.00"), (100, "9.95"), (2**31 - 1, "9.95")],
)
def test_the_highest_tier_that_is_reached_holds(quantity: int, unit: str) -> None:
    assert str(TEA.unit_amount(quantity)) == unit


def test_a_tier_from_one_hides_the_amount_itself() -> None:
    assert price("x", "5", from_1="4").unit_amount(1) == 4


@given(AMOUNTS, st.dictionaries(QUANTITIES, AMOUNTS, max_size=5), QUANTITIES)
def test_a_unit_amount_is_that_of_the_largest_quantity_within(
    amount: Decimal, tiers: dict[int, Decimal], quantity: int
) -> None:
    stored = Price("x", amount, "EUR", tuple(Tier(*tier) for tier in sorted(tiers.items())))
    reached = [least for least in tiers if least <= quantity]
    assert stored.unit_amount(quantity) == (tiers[max(reached)] if reached else amount)


def test_lines_are_priced_by_their_quantity_and_summed() -> None:
    found = quote(7, [("tea", 10), ("cup", 3), ("tea", 1)], [TEA, price("cup", "0.333"), TEA])
    assert found == Quote(
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
    assert str(found.total) == "123.499"


def test_a_line_without_a_price_has_no_amounts_and_leaves_no_total() -> None:
    found = quote(7, [("tea", 1), ("nope", 2)], [TEA, None])
    assert found.lines[1] == QuoteLine("nope", 2, None, None)
    assert found.lines[0].amount == Decimal("12.50")
    assert (found.total, found.currency, found.complete) == (None, None, False)


def test_several_currencies_leave_no_total_but_are_complete() -> None:
    found = quote(7, [("tea", 1), ("x", 1)], [TEA, price("x", "1", "USD")])
    assert (found.total, found.currency, found.complete) == (None, None, True)


def test_no_lines_are_complete_and_have_no_total() -> None:
    assert quote(7, [], []) == Quote(7, [], None, None, complete=True)


def test_a_total_of_nothing_is_a_total() -> None:
    found = quote(7, [("x", 3)], [price("x", "0.00")])
    assert (str(found.total), found.currency) == ("0.00", "EUR")


@given(st.lists(st.tuples(AMOUNTS, QUANTITIES), min_size=1, max_size=5), st.sampled_from([1, 200]))
def test_nothing_is_rounded(lines: list[tuple[Decimal, int]], times: int) -> None:
    lines = lines * times
    found = quote(1, [("x", quantity) for _, quantity in lines], [Price("x", amount, "EUR") for amount, _ in lines])
    with localcontext() as exact:
        exact.prec = 1000
        assert [line.amount for line in found.lines] == [amount * quantity for amount, quantity in lines]
        assert found.total == sum(amount * quantity for amount, quantity in lines)
