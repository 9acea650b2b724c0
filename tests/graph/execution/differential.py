"""One operation, executed by a plan and by graphql-core."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError, execute, parse, validate

from graph.execution import Executable

Outcome = dict[str, Any]


def executable(schema: strawberry.Schema, text: str) -> Executable:
    """The first operation of a valid document, ready to be executed."""
    document = parse(text)
    errors = validate(schema._schema, document)
    assert not errors, (errors, text)
    [operation] = [node for node in document.definitions if node.kind == "operation_definition"]
    return Executable(schema._schema, document, operation)  # type: ignore[arg-type]


async def planned(schema: strawberry.Schema, text: str, context: Any = None, **variables: Any) -> ExecutionResult:
    """The result by a plan."""
    return await executable(schema, text).execute(variables, context)


async def by_core(schema: strawberry.Schema, text: str, context: Any = None, **variables: Any) -> ExecutionResult:
    """The result by graphql-core, with Strawberry's executor."""
    result = execute(
        schema._schema,
        parse(text),
        None,
        context,
        variables,
        executor_class=schema.execution_context_class,
    )
    return result if isinstance(result, ExecutionResult) else await result


def outcome(result: ExecutionResult) -> Outcome:
    """What can be told apart in a result: the data in its order, and all of each error."""
    return {
        "data": json.dumps(result.data, default=repr),
        "errors": [_told(error) for error in result.errors or ()],
    }


def _told(error: GraphQLError) -> tuple[Any, ...]:
    original = error.original_error
    return json.dumps(error.formatted, sort_keys=True), type(original), str(original)


def compare(
    schema: strawberry.Schema, text: str, variables: dict[str, Any], context: Callable[[], Any] = lambda: None
) -> ExecutionResult:
    """Execute an operation both ways, and return the result once they are found to be the same."""

    async def run() -> tuple[ExecutionResult, ExecutionResult]:
        return (
            await planned(schema, text, context(), **variables),
            await by_core(schema, text, context(), **variables),
        )

    ours, cores = asyncio.run(run())
    assert outcome(ours) == outcome(cores), f"{text}\n{variables}"
    return ours
