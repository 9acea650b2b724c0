"""The construction of the schema. `python -m graph.schema.build > graph/schema.graphql` exports it for clients."""

import sys
from typing import Any, cast

import strawberry
from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    print_schema,
)

from graph.schema.mutation import Mutation
from graph.schema.query import Query
from graph.schema.subscription import Subscription
from graph.types.prices import VersionedPrice
from graph.types.scalars import CONFIG
from storage import Batch, PriceList, Release, Snapshot

_NODES: dict[type, str] = {
    Batch: "Batch",
    PriceList: "PriceList",
    Release: "Release",
    Snapshot: "Snapshot",
    VersionedPrice: "Price",
}
"""By the class of a record, the type that implements `Node` for it."""


def build_schema() -> strawberry.Schema:
    """Return the schema."""
    schema = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription, config=CONFIG)
    _drop_null_defaults(schema._schema)
    _resolve_nodes(schema._schema)
    return schema


def print_sdl() -> str:
    """Return the schema definition language of the schema: the content of `graph/schema.graphql`."""
    return print_schema(build_schema()._schema) + "\n"


def _drop_null_defaults(schema: GraphQLSchema) -> None:
    """Remove the `= null` defaults that Strawberry adds to optional inputs, which the contract does not have."""
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            inputs = list(type_.fields.values())
        elif isinstance(type_, GraphQLObjectType):
            inputs = [argument for field in type_.fields.values() for argument in field.args.values()]
        else:
            continue
        for input_ in inputs:
            if input_.default_value is None:
                input_.default_value = Undefined


def _resolve_nodes(schema: GraphQLSchema) -> None:
    """Resolve the type of a node by its record, where Strawberry expects instances of its own types."""
    node = cast("GraphQLInterfaceType", schema.type_map["Node"])
    node.resolve_type = _node_type
    for type_ in schema.get_possible_types(node):
        type_.is_type_of = None


def _node_type(record: Any, *_: object) -> str:
    return _NODES[type(record)]


if __name__ == "__main__":
    sys.stdout.write(print_sdl())
