"""The rows of an input are sent as prices or as a file, never as both."""

from decimal import Decimal
from typing import Any

import pytest
from strawberry import ID

from graph.rows.upload import Upload, UploadReused
from graph.schema.row_source import NoPrices, PricesAndFile, create_row_source
from graph.types.batch_inputs import AppendBatchInput, PriceInput, PublishBatchInput
from storage import BatchMode, InvalidArgument
from tests.storage.reading import arriving

PRICE = PriceInput(sku=ID("a"), amount=Decimal(1), currency="EUR")


def upload(name: str = "p.ndjson") -> Upload:
    return Upload(name, arriving([b'{"sku":"a","amount":"1","currency":"EUR"}\n'] * 3), 1000)


def inputs(**fields: Any) -> list[PublishBatchInput | AppendBatchInput]:
    return [
        PublishBatchInput(price_list=ID("retail"), mode=BatchMode.MERGE, idempotency_key="k", **fields),
        AppendBatchInput(batch=ID("b"), sequence=0, **fields),
    ]


async def test_prices_are_a_row_source() -> None:
    for batch in inputs(prices=[PRICE, PRICE]):
        assert (await create_row_source(batch)).expected == 2


async def test_a_file_is_a_row_source_that_is_read_lazily() -> None:
    for batch in inputs(file=upload()):
        batch.file = upload()
        rows = await create_row_source(batch)
        assert (rows.expected, rows.fingerprint) == (None, None)
        assert sum([len(part.rows) async for part in rows.slices()]) == 3


async def test_a_file_can_be_used_only_once() -> None:
    first, second = inputs(file=upload())
    await create_row_source(first)
    with pytest.raises(UploadReused):
        await create_row_source(second)


async def test_skus_to_remove_alone_are_a_row_source_without_rows() -> None:
    for batch in inputs(remove=["a"]):
        assert (await create_row_source(batch)).expected == 0


async def test_an_empty_list_of_prices_is_accepted() -> None:
    for batch in inputs(prices=[]):
        assert (await create_row_source(batch)).expected == 0


@pytest.mark.parametrize("fields", [{}, {"remove": []}])
async def test_an_input_without_content_is_refused(fields: dict[str, Any]) -> None:
    for empty in inputs(**fields):
        with pytest.raises(NoPrices) as refused:
            await create_row_source(empty)
        assert isinstance(refused.value, InvalidArgument)
        assert (refused.value.code, refused.value.path) == ("NO_PRICES", ("input", "prices"))


@pytest.mark.parametrize("prices", [[], [PRICE]])
async def test_prices_and_a_file_are_refused(prices: list[PriceInput]) -> None:
    for both in inputs(prices=prices, file=upload()):
        with pytest.raises(PricesAndFile) as refused:
            await create_row_source(both)
        assert (refused.value.code, refused.value.path) == ("PRICES_AND_FILE", ("input", "file"))
