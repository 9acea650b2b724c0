"""Reports of item errors: stored in small documents, read in ranges, dropped one by one."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec

from storage import ItemError, ReportRange, Store
from storage.batches import item_errors
from storage.batches.item_errors import ERRORS_PER_DOCUMENT
from storage.mongodb.connection import Document
from tests.storage.batches.yielding import steps_of


def errors(count: int) -> list[ItemError]:
    return [ItemError(index, f"sku-{index}", None, "ROW_NOT_JSON", "") for index in range(count)]


async def test_a_page_reads_little_more_than_its_errors(store: Store) -> None:
    report = await store.item_errors.write("batch", errors(1234))
    assert report.count == 1234
    [*whole, last] = [len(each["errors"]) async for each in store.db["item_errors"].find().sort("_id", 1)]
    assert (set(whole), last) == ({ERRORS_PER_DOCUMENT}, 34)
    assert ERRORS_PER_DOCUMENT <= 100, "a page of one error reads a whole document"
    for start, end in ((0, 1), (99, 101), (450, 1233), (1233, 1300), (0, 1234)):
        [found] = await store.item_errors.read([ReportRange("batch", report.id, start, end)])
        assert found == errors(1234)[start:end]


async def test_other_tasks_run_while_a_long_report_is_read(store: Store) -> None:
    report, converted = await store.item_errors.write("batch", errors(1234)), 0

    def counted(stored: list[Document], kind: Any) -> Any:
        nonlocal converted
        converted += len(stored)
        return msgspec.convert(stored, kind)

    with patch.object(item_errors, "msgspec", SimpleNamespace(convert=counted)):
        async with steps_of(lambda: converted) as steps:
            [found] = await store.item_errors.read([ReportRange("batch", report.id, 0, 1234)])
    assert found == errors(1234)
    assert steps == [100] * 12 + [34]


async def test_a_report_is_dropped_without_the_others(store: Store) -> None:
    dropped, kept = [await store.item_errors.write("batch", errors(501)) for _ in range(2)]
    await store.item_errors.drop("batch", dropped)
    assert {each["_id"]["report"] async for each in store.db["item_errors"].find()} == {kept.id}
