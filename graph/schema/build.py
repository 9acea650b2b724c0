"""Builds the schema. `python -m graph.schema.build > graph/schema.graphql` exports it for clients and their tools."""

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import strawberry
from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, Undefined, print_schema

from graph.request_state import current_request
from graph.schema.errors import as_presented
from graph.schema.mutation import Mutation
from graph.schema.query import Query
from graph.schema.subscription import Subscription
from graph.types.scalars import CONFIG


class _Schema(strawberry.Schema):
    """Strawberry's schema, whose streams present errors as every other answer does."""

    async def stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Execute an operation and stream its results."""
        return _presented(await super().stream(*args, **kwargs))


async def _presented(results: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    async with aclosing(results):
        async for result in results:
            if result.errors:
                result.errors = [as_presented(error) for error in result.errors]
                state = current_request.get()
                if state is not None:
                    state.add_error(str((result.errors[0].extensions or {}).get("code", "BAD_REQUEST")))
            yield result


def build_schema() -> strawberry.Schema:
    """Return the schema."""
    schema = _Schema(query=Query, mutation=Mutation, subscription=Subscription, config=CONFIG)
    _drop_null_defaults(schema._schema)
    return schema


def sdl() -> str:
    """Return the schema in the schema definition language, as `graph/schema.graphql` holds it."""
    return print_schema(build_schema()._schema) + "\n"


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
