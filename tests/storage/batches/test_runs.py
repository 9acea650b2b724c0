"""Runs: rows leave them in sku order, once each, and a repeated sku is refused with both places."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.batches import runs
from storage.batches.runs import Run
from storage.prices.row_decoder import Slice


def slice_of(skus: list[str], first: int = 0) -> Slice:
    return Slice(skus, [sku.encode() for sku in skus], list(range(first, first + len(skus))), [])


@pytest.fixture(autouse=True)
def short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge many short sorted lists, as a full run does long ones."""
    monkeypatch.setattr(runs, "SORTED_AT_ONCE", 20)
    monkeypatch.setattr(runs, "SAMPLED_EVERY", 4)
    monkeypatch.setattr(runs, "SAMPLES_PER_STEP", 2)


@given(st.lists(st.lists(st.text(min_size=1, max_size=3), max_size=30), max_size=12))
def test_rows_leave_a_run_in_sku_order_and_repeated_skus_are_refused(slices: list[list[str]]) -> None:
    run, first, expected, refused = Run(), 0, dict[str, int](), list[tuple[int, str, str]]()
    for skus in slices:
        errors = run.add(slice_of(skus, first))
        for position, sku in enumerate(skus, first):
            if expected.setdefault(sku, position) != position:
                refused.append((position, sku, f"item {expected[sku]}."))
        assert [(error.index, error.sku) for error in errors] == [each[:2] for each in refused[-len(errors) :]][
            : len(errors)
        ]
        for error in errors:
            assert error.code == "DUPLICATE_SKU"
            assert error.duplicate_of == expected[str(error.sku)]
            assert f"also that of item {error.duplicate_of}." in error.message
        first += len(skus)
    steps = list(run.in_sku_order())
    assert [sku for step in steps for sku in step.skus] == sorted(expected)
    assert [position for step in steps for position in step.positions] == [expected[sku] for sku in sorted(expected)]
    assert [row for step in steps for row in step.rows] == [sku.encode() for sku in sorted(expected)]
    assert len(run) == len(expected)


def test_a_long_run_is_given_out_in_chunks() -> None:
    skus = random.Random(1).sample([f"sku-{number:05}" for number in range(2000)], 2000)
    run = Run()
    for first in range(0, len(skus), 50):
        run.add(slice_of(skus[first : first + 50], first))
    sizes = [len(step.skus) for step in run.in_sku_order()]
    assert sum(sizes) == 2000
    assert max(sizes) < 200


def test_a_run_is_full_by_its_rows_or_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MAX_RUN_ROWS", 3)
    monkeypatch.setattr(runs, "MAX_RUN_BYTES", 100)
    by_rows, by_bytes = Run(), Run()
    by_rows.add(slice_of(["a", "b"]))
    assert not by_rows.is_full
    by_rows.add(slice_of(["c"], 2))
    assert by_rows.is_full
    by_bytes.add(slice_of(["x" * 100]))
    assert by_bytes.is_full
