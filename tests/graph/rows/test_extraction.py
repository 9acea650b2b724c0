"""A large request whose rows are extracted gives the same variables as one that is decoded whole."""

import json
from typing import Any, cast
from unittest.mock import patch

import pytest
from graphql import OperationDefinitionNode, parse
from starlette.requests import Request

from graph.http.errors import BadRequest
from graph.http.pipeline import _variables
from graph.http.requests import BulkRequest, decode_request, read_request
from graph.rows import placeholders
from graph.rows.extraction import LARGE_BYTES, extract_rows
from graph.rows.placeholders import Rows, VariableDecoder
from graph.schema.build import build_schema
from storage.files.json_array import split_rows
from tests.graph.api import PUBLISH, Api, row, with_request_state

SCHEMA = build_schema()._schema

COUNT = 20_000
PRICES = [row(f"sku-{number:06}", attributes={"name": 'a "},{" b', "tags": [{}, {}]}) for number in range(COUNT)]
INPUT = {"priceList": "retail", "mode": "REPLACE", "idempotencyKey": "k", "prices": PRICES}


class Operation:
    """An operation whose variables `rows` hold rows; it declares some others."""

    def __init__(self, **rows: str) -> None:
        types = {name: f"[{type_}!]" if type_ == "PriceInput" else type_ for name, type_ in rows.items()}
        others = dict.fromkeys(("filter", "prices", "before", "after"), "JSON")
        declared = " ".join(f"${name}: {type_}" for name, type_ in {**others, **types}.items())
        [operation] = parse(f"query ({declared}) {{ __typename }}").definitions
        self.variables = VariableDecoder(SCHEMA, cast("OperationDefinitionNode", operation))


def request(body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    return Request(with_request_state(scope), receive)


def comparable(value: Any) -> Any:
    """A value with its rows as bytes."""
    if isinstance(value, Rows):
        items = [raw for block in split_rows(value.json) for raw in block] if value.items is None else value.items
        return {"json": bytes(value.json), "rows": [bytes(memoryview(raw)) for raw in items]}
    if isinstance(value, dict):
        return {name: comparable(each) for name, each in value.items()}
    return [comparable(each) for each in value] if isinstance(value, list) else value


async def decode_both_ways(body: bytes, **rows: str) -> tuple[Any, Any, bool]:
    """The variables with the rows extracted, the variables decoded whole, and whether any rows were extracted."""
    asked, whole = await read_request(request(body)), decode_request(body, "body")
    operation: Any = Operation(**rows)
    variables = [comparable(_variables(each, operation)) for each in (asked, whole)]
    assert (asked.query, asked.operation_name) == (whole.query, whole.operation_name)
    return variables[0], variables[1], isinstance(asked, BulkRequest)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n  ", " : ")])
@pytest.mark.parametrize(
    "members",
    [["query", "variables"], ["variables", "query"], ["operationName", "variables", "extensions", "query"]],
    ids=str,
)
async def test_the_rows_of_an_input_are_extracted(separators: tuple[str, str], members: list[str]) -> None:
    request_body = {
        "query": PUBLISH,
        "variables": {"input": {**INPUT, "label": "x"}},
        "operationName": "a",
        "extensions": {},
    }
    body = json.dumps({name: request_body[name] for name in members}, separators=separators).encode()
    extracted, whole, large = await decode_both_ways(body, input="PublishBatchInput")
    assert large
    assert extracted == whole
    assert len(extracted["input"]["prices"][0]["attributes"]["rows"]) == COUNT


async def test_rows_with_unusual_separators_are_not_extracted() -> None:
    body = json.dumps({"query": PUBLISH, "variables": {"input": INPUT}}, separators=(" , ", " : ")).encode()
    extracted, whole, large = await decode_both_ways(body, input="PublishBatchInput")
    assert not large
    assert extracted == whole


async def test_rows_in_a_variable_of_their_own_are_extracted() -> None:
    body = json.dumps({"query": PUBLISH, "variables": {"before": 1, "prices": PRICES, "after": [1]}}).encode()
    extracted, whole, large = await decode_both_ways(body, prices="PriceInput")
    assert large
    assert extracted == whole


@pytest.mark.parametrize(
    ("variables", "rows"),
    [
        ({"filter": {"prices": PRICES}, "input": {"prices": []}}, {"input": "PublishBatchInput"}),
        ({"prices": PRICES}, {}),
        ({"input": {"label": {"prices": PRICES}, "prices": PRICES[:3]}}, {"input": "PublishBatchInput"}),
        ({"input": {"priceList": '"prices": [', "prices": PRICES}}, {"input": "PublishBatchInput"}),
    ],
    ids=["in another variable", "no rows", "nested", "in a string"],
)
async def test_other_members_named_prices_are_left_unchanged(
    variables: Any, rows: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placeholders, "MAX_VALUES", 1_000_000)
    monkeypatch.setattr(placeholders, "MAX_BYTES", 10_000_000)
    extracted, whole, _ = await decode_both_ways(
        json.dumps({"query": PUBLISH, "variables": variables}).encode(), **rows
    )
    assert extracted == whole


async def test_the_last_of_two_members_of_the_same_name_counts() -> None:
    body = json.dumps({"query": PUBLISH, "variables": {"input": INPUT}}).encode()
    body = body[:-3] + b', "prices": [{"sku": "last"}]}}}'
    extracted, whole, _ = await decode_both_ways(body, input="PublishBatchInput")
    assert extracted == whole
    assert extracted["input"]["prices"][0]["attributes"]["rows"] == [b'{"sku": "last"}']


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
    ids=["truncated", "trailing comma", "trailing text", "bad row", "nested", "no request"],
)
async def test_invalid_bodies_have_the_same_error(body: bytes) -> None:
    with pytest.raises(BadRequest) as whole:
        decode_request(body, "body")
    with pytest.raises(BadRequest) as extracted:
        await read_request(request(body))
    assert (extracted.value.status, extracted.value.code, extracted.value.message) == (
        400,
        whole.value.code,
        whole.value.message,
    )


async def test_a_small_body_is_decoded_whole() -> None:
    body = json.dumps({"query": PUBLISH, "variables": {"input": {**INPUT, "prices": PRICES[:100]}}}).encode()
    assert len(body) < LARGE_BYTES
    assert await extract_rows(body) is None


async def test_a_retry_decoded_whole_gives_the_same_batch(api: Api) -> None:
    await api.create("retail")
    payload = await api.submit("retail", PRICES, "k")
    assert (payload["batch"]["state"], payload["snapshot"]["size"]) == ("PUBLISHED", COUNT)
    with patch("graph.http.requests.extract_rows", return_value=None):
        again = await api.submit("retail", PRICES, "k")
    assert again["batch"] == payload["batch"], "the rows are the same, extracted or not"
