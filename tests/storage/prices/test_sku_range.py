"""Ranges of skus in the order of their code points."""

from hypothesis import given
from hypothesis import strategies as st

from storage.prices.sku_range import ALL_SKUS, SkuRange, sku_range_of_prefix

EDGES = ["\0", "a", "b", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"]
SKUS = st.text(st.sampled_from(EDGES), max_size=3)
ENDS = st.none() | SKUS


def contains(skus: SkuRange, sku: str) -> bool:
    return skus.low <= sku and (skus.high is None or sku < skus.high)


@given(SKUS, SKUS)
def test_the_range_of_a_prefix_contains_all_skus_with_it(prefix: str, sku: str) -> None:
    assert contains(sku_range_of_prefix(prefix), sku) is sku.startswith(prefix)


@given(SKUS, SKUS, ENDS, ENDS)
def test_a_range_between_two_skus_excludes_them(sku: str, prefix: str, after: str | None, before: str | None) -> None:
    skus = sku_range_of_prefix(prefix).between(after, before)
    assert contains(skus, sku) is (
        sku.startswith(prefix) and (after is None or sku > after) and (before is None or sku < before)
    )


@given(SKUS, SKUS, st.booleans())
def test_a_cut_leaves_every_sku_in_one_range(sku: str, at: str, backward: bool) -> None:
    near, far = ALL_SKUS.cut(at, backward=backward)
    assert contains(near, sku) is not contains(far, sku)
    assert contains(near, sku) is (sku >= at if backward else sku < at)


@given(st.lists(SKUS, unique=True).map(sorted), SKUS, ENDS)
def test_the_indexes_are_those_of_the_skus_in_a_range(skus: list[str], low: str, high: str | None) -> None:
    sku_range = SkuRange(low, high)
    assert [skus[index] for index in sku_range.indexes(skus)] == [sku for sku in skus if contains(sku_range, sku)]


def test_the_range_of_a_prefix_ends_before_the_next_prefix_of_its_length() -> None:
    assert sku_range_of_prefix("") == ALL_SKUS
    assert sku_range_of_prefix("a") == SkuRange("a", "b")
