"""Skus of a batch that were sent twice are all counted; the errors of the first ones are worked out, in steps."""

from collections.abc import AsyncIterator, Sequence
from unittest.mock import patch

import pytest

from storage import Batch, ItemError, Store
from storage.batches import item_errors, sealing
from storage.batches.runs import SortedRows, repeated_sku
from storage.batches.sealing import RepeatedSkus
from storage.batches.staging import MergedRows, RepeatedSku
from tests.storage.batches.yielding import steps_of
from tests.storage.factories import create, left_open, row


class Built:
    """Counts the errors that are built."""

    def __init__(self) -> None:
        self.indexes: list[int] = []

    def __call__(self, sku: str, index: int, earlier: int) -> ItemError:
        self.indexes.append(index)
        return repeated_sku(sku, index, earlier)

    def count(self) -> int:
        return len(self.indexes)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Built:
    built = Built()
    monkeypatch.setattr(sealing, "repeated_sku", built)
    return built


@pytest.fixture
async def batch(store: Store) -> Batch:
    await create(store)
    return await left_open(store, [row("a")], "monday")


async def find(store: Store, batch: Batch, *merged: Sequence[int]) -> RepeatedSkus:
    """The errors of skus that were sent twice, the second time at these positions, in several steps of a merge."""

    async def steps(*_: object) -> AsyncIterator[MergedRows]:
        for positions in merged:
            repeated = [RepeatedSku(f"sku-{position}", 0, position) for position in positions]
            yield MergedRows(SortedRows([], [], []), repeated)

    with patch.object(store.staging, "merge", steps):
        found = await store.sealer.find_repeated(batch, [])
    assert found is not None
    return found


async def test_other_tasks_run_while_the_errors_of_one_step_of_a_merge_are_worked_out(
    store: Store, batch: Batch, built: Built
) -> None:
    async with steps_of(built.count) as steps:
        found = await find(store, batch, range(1, 4097))
    assert (len(found.errors), found.count) == (4096, 4096)
    assert (sum(steps), max(steps)) == (4096, 500)


async def test_errors_that_are_not_kept_are_counted_and_not_worked_out(
    store: Store, batch: Batch, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_errors, "MAX_ITEM_ERRORS", 3)
    found = await find(store, batch, [20, 10, 30], [40, 15, 50], [25, 5])
    assert [error.index for error in found.errors] == [5, 10, 15]
    assert found.count == 8
    assert built.indexes == [20, 10, 30, 15, 5]
