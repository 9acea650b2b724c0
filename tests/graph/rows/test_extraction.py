"""A large request whose rows are cut out first is understood as one that is decoded whole."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from starlette.requests import Request

from graph.http.endpoint import _variables
from graph.http.errors import BadRequest
from graph.http.requests import BulkRequest, decode_request, read_request
from graph.rows.extraction import LARGE_BYTES, cut_rows
from graph.rows.placeholders import Rows
from storage.files.json_array import split_rows
from tests.graph.api import PUBLISH, Api, row, with_request_state

COUNT = 20_000
PRICES = [row(f"sku-{number:06}", attributes={"name": 'a "},{" b', "tags": [{}, {}]}) for number in range(COUNT)]
INPUT = {"priceList": "retail", "mode": "REPLACE", "idempotencyKey": "k", "prices": PRICES}


class Operation:
    """What an operation says of its variables."""

    def __init__(self, **rows: str) -> None:
        self.rows = rows


def request(body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    return Request(with_request_state(scope), receive)


def shown(value: Any) -> Any:
    if isinstance(value, Rows):
        cut = [raw for block in split_rows(value.json) for raw in block] if value.cut is None else value.cut
        return {"json": bytes(value.json), "rows": [bytes(memoryview(raw)) for raw in cut]}
    if isinstance(value, dict):
        return {name: shown(each) for name, each in value.items()}
    return [shown(each) for each in value] if isinstance(value, list) else value


async def both(body: bytes, **rows: str) -> tuple[Any, Any, bool]:
    """The variables with the rows cut out and decoded whole, and whether any were cut out."""
    asked, whole = await read_request(request(body)), decode_request(body, "body")
    operation: Any = Operation(**rows)
    variables = [shown(_variables(each, operation)) for each in (asked, whole)]
    assert (asked.query, asked.operation_name) == (whole.query, whole.operation_name)
    return variables[0], variables[1], isinstance(asked, BulkRequest)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n  ", " : ")])
@pytest.mark.parametrize(
    "members",
    [["query", "variables"], ["variables", "query"], ["operationName", "variables", "extensions", "query"]],
    ids=str,
)
async def test_the_rows_of_an_input_are_cut_out(separators: tuple[str, str], members: list[str]) -> None:
    whole = {"query": PUBLISH, "variables": {"input": {**INPUT, "label": "x"}}, "operationName": "a", "extensions": {}}
    body = json.dumps({name: whole[name] for name in members}, separators=separators).encode()
    cut, plain, large = await both(body, input="PublishBatchInput")
    assert large
    assert cut == plain
    assert len(cut["input"]["prices"][0]["attributes"]["rows"]) == COUNT


async def test_rows_whose_ends_are_not_found_are_left_as_they_are() -> None:
    body = json.dumps({"query": PUBLISH, "variables": {"input": INPUT}}, separators=(" , ", " : ")).encode()
    cut, plain, large = await both(body, input="PublishBatchInput")
    assert not large
    assert cut == plain


async def test_rows_that_are_a_variable_are_cut_out() -> None:
    body = json.dumps({"query": PUBLISH, "variables": {"before": 1, "prices": PRICES, "after": [1]}}).encode()
    cut, plain, large = await both(body, prices="PriceInput")
    assert large
    assert cut == plain


@pytest.mark.parametrize(
    ("variables", "rows"),
    [
        ({"filter": {"prices": PRICES}, "input": {"prices": []}}, {"input": "PublishBatchInput"}),
        ({"prices": PRICES}, {}),
        ({"input": {"attributes": {"prices": PRICES}, "prices": PRICES[:3]}}, {"input": "PublishBatchInput"}),
        ({"input": {"priceList": '"prices": [', "prices": PRICES}}, {"input": "PublishBatchInput"}),
    ],
    ids=["of another variable", "of no rows", "deeper", "in a text"],
)
async def test_what_is_only_called_prices_is_left_as_it_is(variables: Any, rows: dict[str, str]) -> None:
    cut, plain, _ = await both(json.dumps({"query": PUBLISH, "variables": variables}).encode(), **rows)
    assert cut == plain


async def test_of_two_members_of_that_name_the_last_counts_as_ever() -> None:
    body = json.dumps({"query": PUBLISH, "variables": {"input": INPUT}}).encode()
    body = body[:-3] + b', "prices": [{"sku": "last"}]}}}'
    cut, plain, _ = await both(body, input="PublishBatchInput")
    assert cut == plain
    assert cut["input"]["prices"][0]["attributes"]["rows"] == [b'{"sku": "last"}']


BODY = json.dumps({"query": PUBLISH, "variables": {"input": INPUT}}).encode()


@pytest.mark.parametrize(
    "body",
    [
        BODY[:-1],
        BODY[:-4] + b",]}}}",
        BODY + b"x",
        BODY.replace(b'"sku-000100"', b"sku"),
        BODY.replace(b'"sku-019990"', b"[" * 5000),
        BODY.replace(b'{"query"', b'{"query": 5, "x"'),
    ],
    ids=["cut off", "a comma too many", "more behind", "a bad row", "nested", "no request"],
)
async def test_what_is_not_valid_is_told_as_ever(body: bytes) -> None:
    with pytest.raises(BadRequest) as whole:
        decode_request(body, "body")
    with pytest.raises(BadRequest) as cut:
        await read_request(request(body))
    assert (cut.value.status, cut.value.code, cut.value.message) == (400, whole.value.code, whole.value.message)


async def test_a_small_body_is_decoded_whole() -> None:
    body = json.dumps({"query": PUBLISH, "variables": {"input": {**INPUT, "prices": PRICES[:100]}}}).encode()
    assert len(body) < LARGE_BYTES
    assert await cut_rows(body) is None


async def test_a_large_batch_is_published_and_a_retry_of_it_known(api: Api) -> None:
    await api.create("retail")
    payload = await api.submit("retail", PRICES, "k")
    assert (payload["batch"]["state"], payload["snapshot"]["size"]) == ("PUBLISHED", COUNT)
    with patch("graph.http.requests.cut_rows", return_value=None):
        again = await api.submit("retail", PRICES, "k")
    assert again["batch"] == payload["batch"], "with the rows cut out or not, they are the same"
