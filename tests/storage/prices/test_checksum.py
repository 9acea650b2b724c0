"""The checksum: independent of order and slices, and different for different prices."""

from collections.abc import Sequence
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.prices.checksum import Checksum, checksum
from tests.storage.factories import Row, document_of, row

VARIANTS: list[Row] = [
    row("a", "1.00"),
    row("b", "1.00"),
    row("a", "1.0"),
    row("a", "1"),
    row("a", "10.0"),
    row("a", "1.00", "USD"),
    row("a", "1.00", validFrom="2026-01-01"),
    row("a", "1.00", validUntil="2026-01-01"),
    row("a", "1.00", tiers=[{"minQuantity": 1, "amount": "1.00"}]),
    row("a", "1.00", tiers=[{"minQuantity": 2, "amount": "1.00"}]),
    row("a", "1.00", attributes={"x": 1}),
    row("a", "1.00", attributes={"x": 1.0}),
    row("a", "1.00", attributes={"x": "1"}),
    row("a", "1.00", attributes={"x": [1]}),
    row("a", "1.00", attributes={"x": True}),
]
BATCHES = st.lists(st.sampled_from(VARIANTS), max_size=8)


def summed(batch: Sequence[Row]) -> Checksum:
    return checksum(document_of(sent, position) for position, sent in enumerate(batch))


@given(BATCHES.flatmap(lambda batch: st.tuples(st.just(batch), st.permutations(batch))))
@settings(deadline=None, max_examples=50)
def test_the_order_of_the_rows_does_not_matter(orders: tuple[list[Row], list[Row]]) -> None:
    one, other = orders
    assert summed(one) == summed(other)


@given(BATCHES, st.lists(st.integers(0, 6)))
@settings(deadline=None, max_examples=50)
def test_slices_add_up_to_the_whole(batch: list[Row], cuts: list[int]) -> None:
    documents = [document_of(sent, n) for n, sent in enumerate(batch)]
    bounds = [0, *sorted(min(cut, len(batch)) for cut in cuts), len(batch)]
    slices = [checksum(documents[start:end]) for start, end in pairwise(bounds)]
    assert sum(slices, Checksum()) == checksum(documents)


def test_different_prices_have_different_checksums() -> None:
    sums = [summed([sent]) for sent in VARIANTS]
    for one, other in combinations(sums, 2):
        assert one != other
    assert summed([VARIANTS[0]] * 2) != sums[0], "a repeated price must change the checksum"
    assert summed([]) != sums[0]


def test_the_order_of_tiers_and_of_attributes_does_not_matter() -> None:
    tiers = [{"minQuantity": 2, "amount": "2"}, {"minQuantity": 1, "amount": "1"}]
    attributes = {"x": {"b": 1, "a": [{"d": 1, "c": 2}]}, "a": 3}
    reordered = {"a": 3, "x": {"a": [{"c": 2, "d": 1}], "b": 1}}
    assert summed([row("a", tiers=tiers, attributes=attributes)]) == summed(
        [row("a", tiers=tiers[::-1], attributes=reordered)]
    )


def test_the_sum_is_written_as_64_hexadecimal_digits() -> None:
    assert Checksum().hex == "0" * 64
    assert len(summed([row("a")]).hex) == 64
