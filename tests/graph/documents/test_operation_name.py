"""The names of operations: from the schema, never from the client."""

import pytest
from graphql import build_schema, get_operation_ast, parse

from graph.documents.operation_name import name_of

SCHEMA = build_schema(
    "type Query { snapshot: Int price(sku: ID): Int } type Mutation { rollback: Int } type Subscription { moved: Int }"
)


def named(text: str, operation_name: str | None = None) -> str:
    document = parse(text)
    operation = get_operation_ast(document, operation_name)
    assert operation is not None
    return name_of(SCHEMA, document, operation)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{ snapshot price }", "query snapshot"),
        ("query Mine { mine: price snapshot }", "query price"),
        ("mutation { rollback }", "mutation rollback"),
        ("subscription { moved }", "subscription moved"),
        ("{ ... on Query { ...F } } fragment F on Query { price }", "query price"),
        ("{ ...F } fragment F on Query { ...F }", "none"),
        ("{ ...Missing snapshot }", "query snapshot"),
        ("{ __schema { types { name } } }", "query __schema"),
        ("{ __mine }", "none"),
        ("{ whatever_a_client_likes }", "none"),
    ],
)
def test_an_operation_is_named_by_its_kind_and_the_first_field_of_the_root(text: str, name: str) -> None:
    assert named(text) == name


def test_of_several_operations_the_one_that_is_asked_for_is_named() -> None:
    text = "query A { snapshot } mutation B { rollback }"
    assert [named(text, name) for name in "AB"] == ["query snapshot", "mutation rollback"]
