"""Refused rows are all counted; their errors are worked out one row at a time, and only as many as are kept."""

from collections.abc import AsyncIterator, Iterable

import pytest

from storage import Store
from storage.batches import intake as intakes
from storage.batches import item_errors
from storage.batches.intake import Intake
from storage.prices.item_error import RowRefused
from storage.prices.row_decoder import RefusedRow, Slice
from tests.storage.batches.yielding import steps_of


def nothing(_: int) -> None:
    """The line of a row that is not from a file."""


class Explained:
    """Slices of refused rows that note whose errors were worked out."""

    def __init__(self) -> None:
        self.positions: list[int] = []

    async def slices(self, *sizes: int) -> AsyncIterator[Slice]:
        first = 0
        for size in sizes:
            yield Slice(refused=[self._row(position) for position in range(first, first + size)])
            first += size

    def _row(self, position: int) -> RefusedRow:
        def explain() -> tuple[str, Iterable[RowRefused]]:
            self.positions.append(position)
            return f"sku-{position}", [RowRefused("ONE", ""), RowRefused("TWO", "")]

        return RefusedRow(position, None, explain)


async def test_only_the_errors_that_are_kept_are_worked_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (item_errors, intakes):
        monkeypatch.setattr(module, "MAX_ITEM_ERRORS", 5)
    rows, intake = Explained(), Intake(store.staging, "batch")
    await intake.take(rows.slices(2, 3, 4), nothing)
    assert rows.positions == [0, 1, 2]
    assert [(error.index, error.code) for error in intake.errors] == [
        *((0, "ONE"), (0, "TWO"), (1, "ONE"), (1, "TWO"), (2, "ONE"))
    ]
    assert (intake.error_count, intake.received) == (9, 9)


async def test_other_tasks_run_between_the_refused_rows_of_a_slice(store: Store) -> None:
    rows = Explained()
    async with steps_of(lambda: len(rows.positions)) as steps:
        await Intake(store.staging, "batch").take(rows.slices(100), nothing)
    assert steps == [1] * 100
