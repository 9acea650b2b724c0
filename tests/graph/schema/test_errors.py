"""Errors have stable codes; callers see errors that they can fix; unexpected errors are masked and logged."""

import inspect
import logging
import re
from typing import Any

import pytest
from graphql import GraphQLError
from pymongo.errors import AutoReconnect, ExecutionTimeout, OperationFailure, ServerSelectionTimeoutError

from graph.schema.errors import format_error
from storage import Price, PricebookError, Refused, errors
from storage.catalog.price_lists import PriceListRepository
from storage.layers.memory_reader import MISSING, MemoryReader
from storage.layers.reader import LayerReader
from tests.graph.api import CREATE, Api, row

SECRET = "mongodb://ada:hunter2@db.internal"


def leaves(root: type[PricebookError]) -> list[type[PricebookError]]:
    """Return the error classes that are raised: those without a subclass."""
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, root)]
    return [kind for kind in found if not any(issubclass(other, kind) and other is not kind for other in found)]


def create(kind: type[PricebookError]) -> PricebookError:
    """Create an error of a class, whatever the arguments of its constructor."""
    error = kind.__new__(kind)
    PricebookError.__init__(error, "Do this next.", path=("input", "x"))
    return error


def test_every_error_has_a_unique_code() -> None:
    codes = [kind.code for kind in leaves(PricebookError)]
    assert len(codes) > 15
    assert sorted(codes) == sorted(set(codes))
    assert all(re.fullmatch("[A-Z]+(_[A-Z]+)*", code) for code in codes)
    assert PricebookError.code not in codes


@pytest.mark.parametrize("kind", leaves(PricebookError), ids=lambda kind: kind.code)
def test_an_error_of_storage_keeps_its_code_and_message(kind: type[PricebookError]) -> None:
    formatted = format_error(GraphQLError("raw", original_error=create(kind), path=["snapshot"]))
    assert formatted == {"message": "Do this next.", "path": ["snapshot"], "extensions": {"code": kind.code}}


@pytest.mark.parametrize(
    "error", [AutoReconnect(SECRET), ServerSelectionTimeoutError(SECRET), ExecutionTimeout(SECRET)], ids=repr
)
def test_the_error_of_an_unavailable_database_hides_its_address(error: Exception) -> None:
    formatted = format_error(GraphQLError(str(error), original_error=error))
    assert formatted["extensions"] == {"code": "UNAVAILABLE"}
    assert SECRET not in str(formatted)


async def fail(*_: Any, **__: Any) -> dict[str, Price]:
    raise OperationFailure(f"no such thing on {SECRET}")


async def test_an_unexpected_error_is_masked_and_logged_with_its_incident(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await api.create("retail")
    await api.publish("retail", [row("a")])
    monkeypatch.setattr(LayerReader, "find", fail)
    with caplog.at_level(logging.ERROR, "pricebook.graph"):
        body = await api.execute('{ snapshot(priceList: "retail") { version price(sku: "a") { sku } } }')
    assert body["data"] == {"snapshot": {"version": 1, "price": None}}
    [error] = body["errors"]
    assert (error["path"], error["extensions"]) == (["snapshot", "price"], {"code": "INTERNAL"})
    assert SECRET not in str(body)
    incident = re.search("incident ([0-9a-f]{16})", error["message"])
    assert incident is not None
    [record] = [record for record in caplog.records if incident[1] in record.getMessage()]
    assert record.exc_info is not None
    assert SECRET in str(record.exc_info[1])


async def test_every_incident_has_a_unique_id(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.create("retail")
    await api.publish("retail", [row("a")])
    monkeypatch.setattr(LayerReader, "find", fail)
    monkeypatch.setattr(MemoryReader, "price", lambda *_: MISSING)
    monkeypatch.setattr(MemoryReader, "prices", lambda *_: None)
    document = '{ snapshot(priceList: "retail") { price(sku: "a") { sku } } }'
    messages = {(await api.execute(document))["errors"][0]["message"] for _ in range(3)}
    assert len(messages) == 3


async def test_a_refusal_is_a_user_error_of_a_mutation(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [create(kind) for kind in leaves(Refused)]

    async def refuse(*_: Any, **__: Any) -> None:
        raise refusals[0]

    monkeypatch.setattr(PriceListRepository, "create", refuse)
    while refusals:
        assert (await api.data(CREATE, input={"name": "retail"}))["createPriceList"] == {
            "priceList": None,
            "userErrors": [{"code": refusals[0].code, "message": "Do this next.", "path": ["input", "x"]}],
        }
        del refusals[0]


async def test_a_failure_is_a_top_level_error_of_a_mutation(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(*_: Any, **__: Any) -> None:
        raise ServerSelectionTimeoutError(SECRET)

    monkeypatch.setattr(PriceListRepository, "create", break_down)
    body = await api.execute(CREATE, input={"name": "retail"})
    assert body["data"] is None
    assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAVAILABLE"]


async def test_a_refused_field_of_a_query_is_a_top_level_error_and_the_others_are_resolved(api: Api) -> None:
    await api.create("retail")
    body = await api.execute('{ nope: snapshot(priceList: "nope") { version } priceList(name: "retail") { name } }')
    assert body["data"] == {"nope": None, "priceList": {"name": "retail"}}
    assert [(error["path"], error["extensions"]["code"]) for error in body["errors"]] == [
        (["nope"], "PRICE_LIST_NOT_FOUND")
    ]


async def test_a_request_that_graphql_rejects_has_a_code(api: Api) -> None:
    assert await api.error_codes("{") == ["GRAPHQL_PARSE_FAILED"]
    assert await api.error_codes("{ nope }") == ["GRAPHQL_VALIDATION_FAILED"]
    assert await api.error_codes('query ($v: Int!) { snapshot(priceList: "a", version: $v) { size } }') == [
        "BAD_REQUEST"
    ]
    assert await api.error_codes("query a { __typename } query b { __typename }") == ["OPERATION_NOT_FOUND"]
