"""Names of operations come from the schema, never from the client."""

import pytest
from graphql import build_schema, get_operation_ast, parse

from graph.documents.operation_name import operation_name

SCHEMA = build_schema(
    "type Query { snapshot: Int price(sku: ID): Int } type Mutation { rollback: Int } type Subscription { moved: Int }"
)


def name_of(text: str, selected: str | None = None) -> str:
    document = parse(text)
    operation = get_operation_ast(document, selected)
    assert operation is not None
    return operation_name(SCHEMA, document, operation)


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
def test_the_name_is_the_type_of_the_operation_and_its_first_root_field(text: str, name: str) -> None:
    assert name_of(text) == name


def test_the_selected_operation_of_several_is_named() -> None:
    text = "query A { snapshot } mutation B { rollback }"
    assert [name_of(text, name) for name in "AB"] == ["query snapshot", "mutation rollback"]
