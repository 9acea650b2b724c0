"""A plan gives the same result as graphql-core for any query: the same data in the same order, the same errors."""

import gc
from collections.abc import Iterator
from random import Random
from typing import cast

import pytest
from graphql import GraphQLObjectType
from hypothesis import given, settings
from hypothesis import strategies as st

from graph import cursors
from graph.schema.build import build_schema
from tests.graph.execution import edge_case_schema, memory
from tests.graph.execution.differential import compare, required
from tests.graph.execution.documents import Query, Values, queries

# If an error makes an object null, both cancel the work of sibling fields that has not started.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()  # while the warnings above are ignored


SCHEMA = build_schema()
CURSOR = cursors.encode(cursors.PriceCursor(1, "sku-1"))
LISTS = ["retail", "retail", "faulty", "empty"]
OURS = Values(
    literals={
        "ID": ['"sku-1"', '"nope"', '"batch-1"', '"batch-faulty"', '"boom"', "7"],
        "ID:priceList": [f'"{name}"' for name in LISTS],
        "ID:name": [f'"{name}"' for name in LISTS],
        "[ID!]": ['["sku-1", "sku-2", "nope"]', '"sku-1"', "[]", '["boom", "sku-1"]'],
        "[QuoteLineInput!]": [
            '[{sku: "sku-1", quantity: 12}, {sku: "sku-2", quantity: 1}]',
            '{sku: "nope", quantity: 0}',
        ],
        "PriceFilter": ["{}", '{currency: "EUR", amount: {gte: "1.5"}}', '{attributes: [{name: "a", value: 1}]}'],
        "Int": ["1", "2", "3", "1001"],
        "String": [f'"{CURSOR}"', f'"{CURSOR}"', '"garbage"'],
        "Boolean": ["true", "false"],
        "DateTime": ['"2026-03-01T12:00:00Z"', '"2026-03-01T12:45:00.5+00:00"'],
    },
    variables={
        "ID": ["sku-1", "nope", "batch-1", "batch-faulty", "boom", 7],
        "ID:priceList": LISTS,
        "ID:name": LISTS,
        "[ID!]": [["sku-1", "sku-2"], "sku-1", [], [1, "sku-1"]],
        "[QuoteLineInput!]": [[{"sku": "sku-1", "quantity": 100}], []],
        "PriceFilter": [{"skuPrefix": "sku"}, {"validOn": "2026-03-01"}],
        "Int": [1, 2, 3, 1001],
        "String": [CURSOR],
        "Boolean": [True, False],
        "DateTime": ["2026-03-01T12:00:00Z", "2026-03-01T13:45:00+01:00"],
    },
    invalid={
        "DateTime": ["2026-03-01T12:00:00", "now", 5],
        "ID": [1.5, None],
        "[ID!]": [[None], [{}]],
        "Int": [2**31, "one", True],
        "String": [1],
        "Boolean": ["true"],
    },
)


@settings(max_examples=120)
@given(queries(SCHEMA._schema, OURS))
def test_queries_of_our_schema_give_the_same_result(query: Query) -> None:
    compare(SCHEMA, query.text, query.variables, memory.context)


EDGE_CASES = Values(
    literals={
        "Int": ["1", "2", "0"],
        "[Color!]": ["[RED, BLUE]", "RED", "[]"],
        "[String]": ['["a", null]', '"a"', "[]", '["a"]'],
        "Wish": ["{}", '{word: "now", times: null}'],
        "[Wish!]": ["[{}, {times: 3}]", "{}"],
        "Boolean": ["true", "false"],
        "String": ['"ann"', '"bob"'],
    },
    variables={
        "Int": [1, 2, 0],
        "[Color!]": [["RED"], "BLUE", []],
        "[String]": [["a", None], "a", [], ["a"]],
        "Wish": [{}, {"word": "now", "times": None}],
        "[Wish!]": [[{}, {"times": 3}], {}],
        "Boolean": [True, False],
        "String": ["ann", "bob"],
    },
    invalid={"Wish": [{"times": "x"}, {"none": 1}], "[Wish!]": [[None]], "Int": ["one"], "[Color!]": [["PINK"]]},
)
THING = edge_case_schema.SCHEMA._schema.type_map["Thing"]


@settings(max_examples=200)
@given(queries(edge_case_schema.SCHEMA._schema, EDGE_CASES), st.integers(0, 2**32))
def test_invalid_records_give_the_same_result(query: Query, seed: int) -> None:
    recipe = edge_case_schema.recipe(cast("GraphQLObjectType", THING), Random(seed))
    compare(edge_case_schema.SCHEMA, query.text, query.variables, lambda: lambda: edge_case_schema.build(recipe))


@settings(max_examples=200)
@given(queries(edge_case_schema.SCHEMA._schema, EDGE_CASES), st.integers(0, 2**32))
def test_records_with_futures_give_the_same_data(query: Query, seed: int) -> None:
    recipe = edge_case_schema.with_futures(edge_case_schema.recipe(cast("GraphQLObjectType", THING), Random(seed)))
    compare(
        edge_case_schema.SCHEMA, query.text, query.variables, lambda: lambda: edge_case_schema.build(recipe), required
    )
