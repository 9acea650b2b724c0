"""Rows are not coerced by GraphQL: they are validated once, as rows, whether variables or literals."""

import json
import tracemalloc
from contextlib import suppress
from typing import Any, cast

import msgspec
import pytest
from graphql import GraphQLScalarType

from graph.documents.document import Documents
from graph.http.endpoint import Endpoint
from graph.schema.build import build_schema
from tests.graph.api import ANYBODY, PUBLISH, Api, Row, http_client, row

SCHEMA = build_schema()._schema

ANSWER = """
fragment Answer on BatchPayload {
  batch { state version errors { index sku field code } } userErrors { code message path }
}"""

WITH_PRICES = (
    """mutation ($prices: [PriceInput!]) {
      publishBatch(input: {priceList: "retail", mode: REPLACE, idempotencyKey: "k", prices: $prices}) { ...Answer }
    }"""
    + ANSWER
)

WITH_LITERALS = (
    """mutation {
      publishBatch(input: {priceList: "retail", mode: REPLACE, idempotencyKey: "k", prices: PRICES}) { ...Answer }
    }"""
    + ANSWER
)


def with_literals(prices: str) -> str:
    """A mutation with the rows as GraphQL literals."""
    return WITH_LITERALS.replace("PRICES", prices)


@pytest.fixture
async def retail(api: Api) -> Api:
    """An empty list `retail`."""
    await api.create("retail")
    return api


async def publish(api: Api, document: str, **variables: Any) -> dict[str, Any]:
    """Publish a batch, which must succeed, and return the payload."""
    payload: dict[str, Any] = (await api.data(document, **variables))["publishBatch"]
    assert payload["userErrors"] == []
    assert payload["batch"]["state"] == "PUBLISHED"
    return payload


def order(prices: Any) -> dict[str, Any]:
    return {"priceList": "retail", "mode": "REPLACE", "idempotencyKey": "k", "prices": prices}


# ---------------------------------------------------------------- variables


async def test_rows_are_not_coerced_one_by_one(retail: Api) -> None:
    schema = build_schema()
    decimal = cast("GraphQLScalarType", schema._schema.type_map["Decimal"])
    coerce, coerced = decimal.coerce_input_value, []

    def record(value: Any) -> Any:
        coerced.append(value)
        return coerce(value)

    decimal.coerce_input_value = record
    async with http_client(Endpoint(schema, lambda _: retail.runtime.context(ANYBODY))) as http:
        for document, variables in (
            (PUBLISH, {"input": order([row(f"{i}") for i in range(1000)])}),
            (WITH_PRICES, {"prices": [row(f"{i}") for i in range(1000)]}),
        ):
            coerced.clear()
            body = (await http.post("/", json={"query": document, "variables": variables})).json()
            assert body["data"]["publishBatch"]["batch"]["state"] == "PUBLISHED"
            assert set(coerced) == {"0"}, "only the placeholder is coerced"


async def test_a_row_with_wrong_types_is_an_item_error_of_the_batch(retail: Api) -> None:
    bad = [{"sku": 1, "amount": "1", "currency": "EUR"}, {**row("b"), "amount": 1}, 5, {**row("d"), "attributes": 1}]
    for document, variables in ((PUBLISH, {"input": order(bad)}), (WITH_PRICES, {"prices": bad})):
        payload = (await retail.data(document, **variables))["publishBatch"]
        assert [error["code"] for error in payload["userErrors"]] == ["BATCH_INVALID"]
        assert [(error["index"], error["code"]) for error in payload["batch"]["errors"]] == [
            (0, "FIELD_TYPE"),
            (1, "AMOUNT_NOT_DECIMAL"),
            (2, "ROW_NOT_OBJECT"),
            (3, "ATTRIBUTES_INVALID"),
        ]


async def test_rows_can_be_in_the_input_or_in_a_variable_of_their_own(retail: Api) -> None:
    first = await publish(retail, PUBLISH, input=order([row("a", "1.50"), row("b")]))
    assert await retail.amounts("retail") == {"a": "1.50", "b": "1.00"}
    again = await publish(retail, WITH_PRICES, prices=[row("a", "1.50"), row("b")])
    assert again["batch"]["version"] == first["batch"]["version"] == 1


async def test_the_rows_of_a_variable_can_be_required(retail: Api) -> None:
    document = (
        """mutation ($prices: [PriceInput!]!, $key: String!) {
      publishBatch(input: {priceList: "retail", mode: REPLACE, idempotencyKey: $key, prices: $prices}) { ...Answer }
    }"""
        + ANSWER
    )
    await publish(retail, document, prices=[row("a")], key="k")
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_a_single_object_is_a_list_of_one(retail: Api) -> None:
    for document, variables in (
        (PUBLISH, {"input": order(row("a", "1.50"))}),
        (WITH_PRICES, {"prices": row("a", "1.50")}),
    ):
        await publish(retail, document, **variables)
        assert await retail.amounts("retail") == {"a": "1.50"}


async def test_null_or_omitted_rows_are_rejected(retail: Api) -> None:
    without_prices = order(None)
    del without_prices["prices"]
    for document, variables in (
        (PUBLISH, {"input": order(None)}),
        (PUBLISH, {"input": without_prices}),
        (WITH_PRICES, {"prices": None}),
        (WITH_PRICES, {}),
        (with_literals("null"), {}),
    ):
        payload = (await retail.data(document, **variables))["publishBatch"]
        assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
            ("NO_PRICES", ["input", "prices"])
        ]
    assert await retail.amounts("retail") is None


async def test_values_that_are_not_lists_are_rejected(retail: Api) -> None:
    for prices in ("rows", 5, True):
        for document, variables in ((PUBLISH, {"input": order(prices)}), (WITH_PRICES, {"prices": prices})):
            payload = (await retail.data(document, **variables))["publishBatch"]
            assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
                ("INVALID_ARGUMENT", ["input", "prices"])
            ]


async def test_an_invalid_input_object_is_rejected_by_graphql(retail: Api) -> None:
    inputs: list[Any] = [5, "x", [], None, {"priceList": "retail"}, {**order([row("a")]), "mode": "SWAP"}]
    for wrong in inputs:
        assert set(await retail.error_codes(PUBLISH, input=wrong)) == {"BAD_REQUEST"}, wrong
    assert await retail.error_codes(PUBLISH) == ["BAD_REQUEST"]
    assert await retail.error_codes(PUBLISH, input={**order([row("a")]), "colour": "red"}) == ["BAD_REQUEST"]
    assert await retail.amounts("retail") is None


async def test_two_aliases_may_use_the_same_variable(retail: Api) -> None:
    document = (
        """mutation ($input: PublishBatchInput!) {
      a: publishBatch(input: $input) { ...Answer } b: publishBatch(input: $input) { ...Answer }
    }"""
        + ANSWER
    )
    data = await retail.data(document, input=order([row("a"), row("b")]))
    assert data["a"] == data["b"]
    assert data["a"]["batch"]["version"] == 1


async def test_two_mutations_can_use_the_same_rows(retail: Api) -> None:
    await retail.create("other")
    document = (
        """mutation ($prices: [PriceInput!]) {
      a: publishBatch(input: {priceList: "retail", mode: REPLACE, idempotencyKey: "k", prices: $prices}) { ...Answer }
      b: publishBatch(input: {priceList: "other", mode: REPLACE, idempotencyKey: "k", prices: $prices}) { ...Answer }
    }"""
        + ANSWER
    )
    data = await retail.data(document, prices=[row("a"), row("b", "2.00")])
    assert [data[alias]["batch"]["state"] for alias in "ab"] == ["PUBLISHED"] * 2
    assert await retail.amounts("retail") == await retail.amounts("other") == {"a": "1.00", "b": "2.00"}


async def test_two_variables_can_hold_different_rows(retail: Api) -> None:
    await retail.create("other")
    document = (
        """mutation ($x: PublishBatchInput!, $y: PublishBatchInput!) {
      a: publishBatch(input: $x) { ...Answer } b: publishBatch(input: $y) { ...Answer }
    }"""
        + ANSWER
    )
    await retail.data(document, x=order([row("a")]), y={**order([row("b")]), "priceList": "other"})
    assert (await retail.amounts("retail"), await retail.amounts("other")) == ({"a": "1.00"}, {"b": "1.00"})


async def test_a_default_of_a_variable_is_used(retail: Api) -> None:
    document = WITH_PRICES.replace(
        "$prices: [PriceInput!]", '$prices: [PriceInput!] = [{sku: "d", amount: "4.00", currency: "EUR"}]'
    )
    await publish(retail, document)
    assert await retail.amounts("retail") == {"d": "4.00"}


async def test_a_variable_can_be_one_row_or_a_field_of_it(retail: Api) -> None:
    document = (
        """mutation ($row: PriceInput!, $sku: ID!, $amount: Decimal!) {
      publishBatch(input: {priceList: "retail", mode: REPLACE, idempotencyKey: "k", prices: [
        $row, {sku: $sku, amount: $amount, currency: "EUR"}
      ]}) { ...Answer }
    }"""
        + ANSWER
    )
    await publish(retail, document, row=row("a", "1.50"), sku="b", amount="2.50")
    assert await retail.amounts("retail") == {"a": "1.50", "b": "2.50"}


# ---------------------------------------------------------------- literals


async def test_literals_in_the_document_are_rows_too(retail: Api) -> None:
    prices = """[
      {sku: "a", amount: "1.50", currency: "EUR", tiers: [{minQuantity: 5, amount: "1.20"}],
       validFrom: "2026-01-01", validUntil: "2026-12-31", attributes: {colour: "red", sizes: [1, 2.5, null, true]}}
      {sku: 7, amount: "0", currency: "USD"}
    ]"""
    await publish(retail, with_literals(prices))
    nodes = (
        await retail.data(
            """{ snapshot(priceList: "retail") { prices { nodes {
              sku amount currency tiers { minQuantity amount } validFrom validUntil attributes
            } } } }"""
        )
    )["snapshot"]["prices"]["nodes"]
    plain: Row = {"tiers": [], "validFrom": None, "validUntil": None, "attributes": {}}
    assert nodes == [
        {**plain, "sku": "7", "amount": "0", "currency": "USD"},
        {
            "sku": "a",
            "amount": "1.50",
            "currency": "EUR",
            "tiers": [{"minQuantity": 5, "amount": "1.20"}],
            "validFrom": "2026-01-01",
            "validUntil": "2026-12-31",
            "attributes": {"colour": "red", "sizes": [1, 2.5, None, True]},
        },
    ]


async def test_a_single_literal_is_a_list_of_one(retail: Api) -> None:
    await publish(retail, with_literals('{sku: "a", amount: "1.50", currency: "EUR"}'))
    assert await retail.amounts("retail") == {"a": "1.50"}


async def test_literals_are_validated_as_rows(retail: Api) -> None:
    prices = """[
      {sku: "a", amount: "-1.50", currency: "EUR"}
      {sku: "b", amount: "1.50", currency: "XYZ"}
      {sku: "", amount: "1.50", currency: "EUR"}
      {sku: "d", amount: "1.50", currency: "EUR", attributes: [1]}
    ]"""
    payload = (await retail.data(with_literals(prices)))["publishBatch"]
    assert [(error["index"], error["field"], error["code"]) for error in payload["batch"]["errors"]] == [
        (0, "amount", "AMOUNT_NEGATIVE"),
        (1, "currency", "CURRENCY_UNKNOWN"),
        (2, "sku", "SKU_EMPTY"),
        (3, "attributes", "ATTRIBUTES_INVALID"),
    ]


async def test_a_literal_that_is_not_a_decimal_is_rejected_by_graphql(retail: Api) -> None:
    for amount in ("1.5", '"NaN"', '"1e3"', '"1_000"', '" 1"', '"+1"', '".5"', '""', '"\N{ARABIC-INDIC DIGIT ONE}"'):
        document = with_literals('[{sku: "a", currency: "EUR", amount: ' + amount + "}]")
        assert await retail.error_codes(document) == ["GRAPHQL_VALIDATION_FAILED"], amount
    assert await retail.amounts("retail") is None


async def test_millions_of_rows_that_are_too_short_are_refused_at_once(retail: Api) -> None:
    for separators in ((",", ":"), (" , ", " : ")):
        body = json.dumps({"query": PUBLISH, "variables": {"input": order([{}] * 500_000)}}, separators=separators)
        response = await retail.http.post("/graphql", content=body, headers={"content-type": "application/json"})
        [error] = response.json()["data"]["publishBatch"]["userErrors"]
        assert (error["code"], error["path"]) == ("INVALID_ARGUMENT", ["input", "prices"])
        assert "fewer than 16 bytes" in error["message"]


async def test_a_few_short_rows_get_their_errors(retail: Api) -> None:
    payload = await retail.submit("retail", [{}] * 900)
    assert payload["batch"]["errorCount"] >= 900


async def test_an_unknown_member_beside_rows_is_named(retail: Api) -> None:
    body = await retail.execute(PUBLISH, input={**order([row("a")]), "pricess": []})
    assert "pricess" in body["errors"][0]["message"]


async def test_undeclared_variables_and_unknown_members_take_no_memory(retail: Api) -> None:
    many = {f"v{number}": 1 for number in range(300_000)}
    for variables in ({"input": order([row("a")]), **many}, {"input": {**order([row("a")]), **many}}):
        decoder = Documents(SCHEMA).get(PUBLISH).operation(None)
        assert decoder is not None
        raw = msgspec.Raw(json.dumps(variables).encode())
        tracemalloc.start()
        with suppress(msgspec.ValidationError):
            decoder.variables.decode(raw)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000
