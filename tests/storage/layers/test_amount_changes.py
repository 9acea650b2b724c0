"""Changes of amounts are ordered and counted by their exact percentage."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage import ChangeBucket
from storage.layers.amount_changes import AmountChanges
from storage.layers.changes import Change
from storage.prices.price import encode_row

BUCKETS = [
    (None, "-50"),
    ("-50", "-25"),
    ("-25", "-10"),
    ("-10", "-5"),
    ("-5", "-1"),
    ("-1", "0"),
    ("0", "1"),
    ("1", "5"),
    ("5", "10"),
    ("10", "25"),
    ("25", "50"),
    ("50", "100"),
    ("100", None),
]

Pair = tuple[str, str, str]
"""The amounts before and after, and the currency after; before it is EUR."""

whole, parts = st.integers(0, 10**17 - 1).map(str), st.integers(0, 10**17 - 1).map(str)
AMOUNTS = st.sampled_from(["0", "0.00", "1", "1.0", "1.10", "2", "3"]) | whole | st.builds("{}.{}".format, whole, parts)
PAIRS = st.tuples(AMOUNTS, AMOUNTS, st.sampled_from(["EUR", "EUR", "USD"]))

NEARLY_TEN_PERCENT = ("1" + "0" * 33, "1" + "0" + "9" * 32, "EUR")


def percent(pair: Pair) -> Fraction | None:
    before, after = Fraction(pair[0]), Fraction(pair[1])
    return (after - before) / before * 100 if before and before != after and pair[2] == "EUR" else None


def bucket(low: str | None, high: str | None, count: int) -> ChangeBucket:
    return ChangeBucket(None if low is None else Decimal(low), None if high is None else Decimal(high), count)


def is_within(change: Fraction, low: str | None, high: str | None) -> bool:
    """Whether a bucket counts a change: the bound nearer to 0 is inclusive."""
    if change > 0:
        return low is not None and 0 <= int(low) <= change and (high is None or change < int(high))
    return high is not None and 0 >= int(high) >= change and (low is None or change > int(low))


def measure(pairs: Sequence[Pair], size: int) -> AmountChanges:
    found = AmountChanges(size)
    for number, (before, after, currency) in enumerate(pairs):
        found.add(Change(f"{number:03}", encode_row(before, "EUR"), encode_row(after, currency)))
    return found


@given(st.lists(PAIRS, max_size=30), st.integers(0, 10))
@example([("1", "1.1", "EUR"), NEARLY_TEN_PERCENT], 1)
@example([NEARLY_TEN_PERCENT, ("1", "1.1", "EUR")], 1)
def test_order_and_buckets_are_those_of_fractions(pairs: list[Pair], size: int) -> None:
    changes = {f"{number:03}": each for number, pair in enumerate(pairs) if (each := percent(pair)) is not None}
    found = measure(pairs, size)
    expected = sorted(changes, key=lambda sku: (-abs(changes[sku]), sku))
    assert [change.sku for change in found.largest()] == expected[:size]
    assert found.distribution() == [
        bucket(low, high, sum(is_within(each, low, high) for each in changes.values())) for low, high in BUCKETS
    ]


@pytest.mark.parametrize(
    ("after", "bounds"),
    [
        ("0", (None, "-50")),
        ("50", (None, "-50")),
        ("50.01", ("-50", "-25")),
        ("90", ("-25", "-10")),
        ("99.99", ("-1", "0")),
        ("100.01", ("0", "1")),
        ("101", ("1", "5")),
        ("110", ("10", "25")),
        ("199.99", ("50", "100")),
        ("200", ("100", None)),
        ("1" + "0" * 33, ("100", None)),
    ],
)
def test_the_bound_of_a_bucket_nearer_to_zero_is_inclusive(after: str, bounds: tuple[str | None, str | None]) -> None:
    counted = [each for each in measure([("100", after, "EUR")], 1).distribution() if each.count]
    assert counted == [bucket(*bounds, 1)]


def test_prices_that_were_added_or_removed_do_not_count() -> None:
    found = AmountChanges(5)
    found.add(Change("a", None, encode_row("1", "EUR")))
    found.add(Change("b", encode_row("1", "EUR"), None))
    assert (found.largest(), sum(each.count for each in found.distribution())) == ([], 0)
