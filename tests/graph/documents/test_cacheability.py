"""Operations are cacheable only if all their fields are in the list of pure fields, however they are written."""

from pathlib import Path

import graphql
import pytest
from graphql import GraphQLObjectType, parse, validate

from graph.documents.cacheability import PURE
from graph.documents.document import Documents
from graph.schema.build import build_schema, print_sdl

CONTRACT = graphql.build_schema(Path(__file__).parents[1].joinpath("contract.graphql").read_text())
SCHEMA = build_schema()._schema

CACHEABLE = {
    "literals": '{ snapshot(priceList: "a") { version size label createdAt priceList price(sku: "x") { amount } } }',
    "a page": """query ($after: String) { snapshot(priceList: "a") {
      prices(after: $after) { edges { cursor node { sku tiers { minQuantity amount } } } totalCount
        nodes { currency validFrom validUntil attributes } pageInfo { hasNextPage endCursor } } } }""",
    "ids": '{ snapshot(priceList: "a") { id price(sku: "x") { id priceList version } } }',
    "type names": '{ __typename snapshot(priceList: "a") { __typename pricesBySku(skus: []) { __typename } } }',
    "fragments": """{ ...Root } fragment Root on Query { ... { snapshot(priceList: "a") { ...Snapshot } } }
      fragment Snapshot on Snapshot { ... on Snapshot @include(if: true) { size } }""",
    "aliases": '{ state: snapshot(priceList: "a") { batch: size } b: snapshot(priceList: "b", version: 1) { size } }',
}

NOT_CACHEABLE = {
    "state": '{ snapshot(priceList: "a") { size state } }',
    "publishedAt": '{ snapshot(priceList: "a") { publishedAt } }',
    "batch": '{ snapshot(priceList: "a") { batch { id } } }',
    "an alias": '{ snapshot(priceList: "a") { size: state } }',
    "a price list": '{ priceList(name: "a") { current { size } } }',
    "price lists": "{ priceLists { totalCount } }",
    "a batch": '{ batch(id: "a") { id } }',
    "a node": '{ node(id: "Snapshot:a:1") { ... on Snapshot { size } } }',
    "the caller": '{ snapshot(priceList: "a") { size } caller { name } }',
    "introspection": '{ snapshot(priceList: "a") { size } __schema { queryType { name } } }',
    "a type": '{ __type(name: "Price") { name } }',
    "in a fragment": '{ ...F } fragment F on Query { ... { snapshot(priceList: "a") { ...G } } } '
    "fragment G on Snapshot { ... on Snapshot { state } }",
    "skipped": 'query ($no: Boolean = false) { snapshot(priceList: "a") { size state @include(if: $no) } }',
    "no snapshot": "{ __typename }",
    "a mutation": 'mutation { createPriceList(input: {name: "a"}) { __typename } }',
    "a subscription": 'subscription { published(priceList: "a") { version } }',
}


@pytest.mark.parametrize("name", CACHEABLE)
def test_pure_fields_are_cacheable(name: str) -> None:
    operation = Documents(SCHEMA).get(CACHEABLE[name]).operation(None)
    assert operation is not None
    assert operation.cacheability is not None


@pytest.mark.parametrize("name", NOT_CACHEABLE)
def test_other_fields_are_not_cacheable(name: str) -> None:
    operation = Documents(SCHEMA).get(NOT_CACHEABLE[name]).operation(None)
    assert operation is not None
    assert operation.cacheability is None


def test_pure_fields_exist_in_the_schema() -> None:
    types = {**CONTRACT.type_map, **SCHEMA.type_map}
    for name, fields in PURE.items():
        ours, contract = types[name], CONTRACT.type_map.get(name)
        assert isinstance(ours, GraphQLObjectType)
        defined = set(ours.fields) | set(contract.fields if isinstance(contract, GraphQLObjectType) else ())
        assert fields <= defined, name


def test_fields_that_depend_on_more_than_the_version_are_not_pure() -> None:
    assert not PURE["Snapshot"] & {"state", "publishedAt", "batch"}
    assert "history" not in PURE["Price"]
    assert PURE["Query"] == {"snapshot"}


def test_each_operation_of_a_document_has_its_own_cacheability() -> None:
    document = Documents(SCHEMA).get(
        'query a { snapshot(priceList: "a") { size } } query b { priceLists { totalCount } }'
    )
    a, b = document.operation("a"), document.operation("b")
    assert a is not None
    assert b is not None
    assert (a.cacheability is not None, b.cacheability is not None) == (True, False)
    assert document.operation(None) is None


def test_the_operation_of_a_document_is_cached() -> None:
    document = Documents(SCHEMA).get(CACHEABLE["a page"])
    assert document.operation(None) is document.operation(None)


def test_fragments_that_spread_others_twice_are_visited_once() -> None:
    fragments = " ".join(f"fragment F{n} on Snapshot {{ ...F{n + 1} ...F{n + 1} }}" for n in range(9))
    text = f'{{ snapshot(priceList: "a") {{ ...F0 }} }} {fragments} fragment F9 on Snapshot {{ size }}'
    operation = Documents(SCHEMA).get(text).operation(None)
    assert operation is not None
    assert operation.cacheability is not None


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"l": "a"}, {"a"}),
        ({"l": "a", "v": None}, {"a"}),
        ({"l": "a", "v": 3}, set()),
        ({"l": "a", "t": "2026-01-01T00:00:00Z"}, set()),
        ({"l": "a", "t": None}, {"a"}),
        ({"l": "a", "v": 3, "d": None}, {"b"}),
        ({"l": "a", "v": 3, "d": 4}, set()),
        ({"l": 5}, None),
        ({}, None),
    ],
)
def test_lists_read_at_their_current_version_are_known_before_execution(
    variables: dict[str, object], names: set[str] | None
) -> None:
    text = """query ($l: ID!, $v: Int, $t: DateTime, $d: Int = 7) {
      snapshot(priceList: $l, version: $v, asOf: $t) { size }
      b: snapshot(priceList: "b", version: $d) { size } c: snapshot(priceList: "c", version: 1) { size } }"""
    assert not validate(graphql.build_schema(print_sdl()), parse(text))
    operation = Documents(SCHEMA).get(text).operation(None)
    assert operation is not None
    assert operation.cacheability is not None
    lists = operation.cacheability.lists(variables)
    assert (lists and lists.current) == names
