"""The schema: the exported file is current, the contract is kept, everything has a description."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    is_introspection_type,
    is_required_argument,
    is_required_input_field,
    is_specified_scalar_type,
    print_ast,
)

import graph
from graph.schema.build import print_sdl

EXPORTED = Path(graph.__file__).with_name("schema.graphql")
CONTRACT = Path(__file__).parents[1] / "contract.graphql"


@pytest.fixture(scope="module")
def ours() -> GraphQLSchema:
    return build_schema(print_sdl())


@pytest.fixture(scope="module")
def contract() -> GraphQLSchema:
    return build_schema(CONTRACT.read_text())


def own_types(schema: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    for type_ in schema.type_map.values():
        if not is_introspection_type(type_) and not is_specified_scalar_type(type_):
            yield type_


def shape(input_: GraphQLArgument | GraphQLInputField) -> str:
    """Return the type and the default of an argument or input field, as written in the schema."""
    node = input_.ast_node
    assert node is not None
    default = f" = {print_ast(node.default_value)}" if node.default_value else ""
    return f"{print_ast(node.type)}{default}"


def elements(schema: GraphQLSchema) -> dict[str, str]:
    """Return everything that a client can refer to, by schema coordinate, with its type and default."""
    found = {}
    for type_ in own_types(schema):
        found[type_.name] = type(type_).__name__
        if isinstance(type_, GraphQLEnumType):
            found |= {f"{type_}.{value}": "value" for value in type_.values}
        elif isinstance(type_, GraphQLInputObjectType):
            found |= {f"{type_}.{name}": shape(field) for name, field in type_.fields.items()}
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            found |= {f"{type_} implements {interface}": "interface" for interface in type_.interfaces}
            for name, field in type_.fields.items():
                found[f"{type_}.{name}"] = str(field.type)
                found |= {f"{type_}.{name}({argument}:)": shape(arg) for argument, arg in field.args.items()}
    return found


def container(coordinate: str) -> str:
    """Return the coordinate that contains another; the type itself for a type."""
    return coordinate.split("(", 1)[0] if "(" in coordinate else coordinate.split(".", 1)[0]


def test_the_exported_schema_is_current() -> None:
    assert EXPORTED.read_text() == print_sdl(), "Export it again: python -m graph.schema.build > graph/schema.graphql"


def test_the_contract_is_kept_name_for_name(ours: GraphQLSchema, contract: GraphQLSchema) -> None:
    actual, promised = elements(ours), elements(contract)
    assert {name: actual.get(name) for name in promised} == promised


def test_additions_to_the_contract_are_optional(ours: GraphQLSchema, contract: GraphQLSchema) -> None:
    promised = elements(contract)
    required = set()
    for type_ in own_types(ours):
        if isinstance(type_, GraphQLInputObjectType):
            required |= {f"{type_}.{name}" for name, field in type_.fields.items() if is_required_input_field(field)}
        elif isinstance(type_, GraphQLObjectType):
            required |= {
                f"{type_}.{name}({argument}:)"
                for name, field in type_.fields.items()
                for argument, arg in field.args.items()
                if is_required_argument(arg)
            }
    assert {name for name in required - promised.keys() if container(name) in promised} == set()


def test_everything_has_a_description(ours: GraphQLSchema) -> None:
    missing = set()
    for type_ in own_types(ours):
        if not type_.description:
            missing.add(type_.name)
        if isinstance(type_, GraphQLEnumType):
            missing |= {f"{type_}.{name}" for name, value in type_.values.items() if not value.description}
        elif isinstance(type_, GraphQLInputObjectType):
            missing |= {f"{type_}.{name}" for name, field in type_.fields.items() if not field.description}
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in type_.fields.items():
                missing |= {
                    f"{type_}.{name}({argument}:)" for argument, arg in field.args.items() if not arg.description
                }
                if not field.description:
                    missing.add(f"{type_}.{name}")
    assert missing == set()
