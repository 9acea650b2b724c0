"""An input's rows come as prices or as a file, never as both."""

from decimal import Decimal
from typing import Any

import pytest
from strawberry import ID

from graph.rows.upload import Upload, UploadReused
from graph.schema.row_source import NoPrices, PricesAndFile, source_of
from graph.types.inputs import AppendBatchInput, PriceInput, PublishBatchInput
from storage import BatchMode, InvalidArgument
from tests.storage.reading import arriving

PRICE = PriceInput(sku=ID("a"), amount=Decimal(1), currency="EUR")


def upload(name: str = "p.ndjson") -> Upload:
    return Upload(name, arriving([b'{"sku":"a","amount":"1","currency":"EUR"}\n'] * 3), 1000)


def inputs(**given: Any) -> list[PublishBatchInput | AppendBatchInput]:
    return [
        PublishBatchInput(price_list=ID("retail"), mode=BatchMode.MERGE, idempotency_key="k", **given),
        AppendBatchInput(batch=ID("b"), sequence=0, **given),
    ]


async def test_prices_are_rows() -> None:
    for given in inputs(prices=[PRICE, PRICE]):
        assert (await source_of(given)).expected == 2


async def test_a_file_is_rows_and_is_not_read_before_it_is_asked_for() -> None:
    for given in inputs(file=upload()):
        given.file = upload()
        rows = await source_of(given)
        assert (rows.expected, rows.fingerprint) == (None, None)
        assert sum([len(part.documents) async for part in rows.slices()]) == 3


async def test_a_file_is_rows_once() -> None:
    one = upload()
    first, second = inputs(file=one)
    await source_of(first)
    with pytest.raises(UploadReused):
        await source_of(second)


async def test_removals_alone_are_a_batch_without_rows() -> None:
    for given in inputs(remove=["a"]):
        assert (await source_of(given)).expected == 0


async def test_prices_that_are_an_empty_list_are_not_forgotten_prices() -> None:
    for given in inputs(prices=[]):
        assert (await source_of(given)).expected == 0


@pytest.mark.parametrize("given", [{}, {"remove": []}])
async def test_nothing_at_all_is_refused(given: dict[str, Any]) -> None:
    for nothing in inputs(**given):
        with pytest.raises(NoPrices) as refused:
            await source_of(nothing)
        assert isinstance(refused.value, InvalidArgument)
        assert (refused.value.code, refused.value.path) == ("NO_PRICES", ("input", "prices"))


@pytest.mark.parametrize("prices", [[], [PRICE]])
async def test_prices_and_a_file_are_refused(prices: list[PriceInput]) -> None:
    for both in inputs(prices=prices, file=upload()):
        with pytest.raises(PricesAndFile) as refused:
            await source_of(both)
        assert (refused.value.code, refused.value.path) == ("PRICES_AND_FILE", ("input", "file"))
