"""The construction of the schema. `python -m graph.schema.build > graph/schema.graphql` exports it for clients."""

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import strawberry
from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, Undefined, print_schema

from graph.request_state import current_request
from graph.schema.errors import mask_error
from graph.schema.mutation import Mutation
from graph.schema.query import Query
from graph.schema.subscription import Subscription
from graph.types.scalars import CONFIG


class _Schema(strawberry.Schema):
    """Strawberry's schema, with the errors of streams masked as in any other response."""

    async def stream(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Execute an operation and stream its results."""
        return _mask_errors(await super().stream(*args, **kwargs))


async def _mask_errors(results: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    async with aclosing(results):
        async for result in results:
            if result.errors:
                result.errors = [mask_error(error) for error in result.errors]
                state = current_request.get()
                if state is not None:
                    state.add_error(str((result.errors[0].extensions or {}).get("code", "BAD_REQUEST")))
            yield result


def build_schema() -> strawberry.Schema:
    """Return the schema."""
    schema = _Schema(query=Query, mutation=Mutation, subscription=Subscription, config=CONFIG)
    _drop_null_defaults(schema._schema)
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


if __name__ == "__main__":
    sys.stdout.write(print_sdl())
