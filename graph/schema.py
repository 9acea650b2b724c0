"""The schema, put together. `python -m graph.schema > graph/schema.graphql` exports it for clients and their tools."""

import sys

import strawberry
from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, Undefined, print_schema

from graph.mutations import Mutation
from graph.queries import Query
from graph.types.scalars import CONFIG


def build() -> strawberry.Schema:
    """Return the schema."""
    schema = strawberry.Schema(query=Query, mutation=Mutation, config=CONFIG)
    _drop_null_defaults(schema._schema)
    return schema


def sdl() -> str:
    """Return the schema in the schema definition language, as `graph/schema.graphql` holds it."""
    return print_schema(build()._schema) + "\n"


def _drop_null_defaults(schema: GraphQLSchema) -> None:
    """Let what may be left out have no default, as the contract has it, where Strawberry writes `= null`."""
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


if __name__ == "__main__":
    sys.stdout.write(sdl())
