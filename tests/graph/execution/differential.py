"""Executes an operation by a plan and by graphql-core, and compares the results."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import strawberry
from graphql import ExecutionResult, GraphQLError, execute, parse, validate

from graph.execution import Executable

Outcome = dict[str, Any]


def executable(schema: strawberry.Schema, text: str) -> Executable:
    """The executable of the only operation of a valid document."""
    document = parse(text)
    errors = validate(schema._schema, document)
    assert not errors, (errors, text)
    [operation] = [node for node in document.definitions if node.kind == "operation_definition"]
    return Executable(schema._schema, document, operation)  # type: ignore[arg-type]


async def execute_with_plan(
    schema: strawberry.Schema, text: str, context: Any = None, **variables: Any
) -> ExecutionResult:
    """Execute an operation by a plan."""
    return await run(executable(schema, text), variables, context)


async def run(operation: Executable, variables: dict[str, Any], context: Any) -> ExecutionResult:
    """Coerce the variables of an operation and execute it."""
    coerced = operation.coerce(variables)
    if isinstance(coerced, list):
        return ExecutionResult(None, coerced)
    result = await operation.execute(coerced, context)
    return ExecutionResult(_decoded(result.data), result.errors)


def _decoded(value: Any) -> Any:
    """Return a part of a response with what the execution completed to JSON as Python values."""
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value))
    if isinstance(value, dict):
        return {key: _decoded(each) for key, each in value.items()}
    return [_decoded(each) for each in value] if isinstance(value, list) else value


async def execute_with_core(
    schema: strawberry.Schema, text: str, context: Any = None, **variables: Any
) -> ExecutionResult:
    """Execute an operation by graphql-core, with Strawberry's executor."""
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
    """A result in comparable form: the data in its order, as a response has it, and all parts of each error."""
    return {
        "data": msgspec.json.encode(result.data, enc_hook=repr),
        "errors": [_comparable(error) for error in result.errors or ()],
    }


def required(result: ExecutionResult) -> Outcome:
    """The outcome without what the specification leaves open: the order of the errors, and which of those is reported
    that make the same position above them null."""
    errors = set()
    for error in result.errors or ():
        path, value = error.path or [], result.data
        depth = 0
        while value is not None and depth < len(path):
            value = value[path[depth]]  # type: ignore[index]
            depth += 1
        errors.add(str(_comparable(error) if depth == len(path) else path[:depth]))
    return {**outcome(result), "errors": errors}


def _comparable(error: GraphQLError) -> tuple[Any, ...]:
    original = error.original_error
    return json.dumps(error.formatted, sort_keys=True), type(original), str(original)


def compare(
    schema: strawberry.Schema,
    text: str,
    variables: dict[str, Any],
    context: Callable[[], Any] = lambda: None,
    parts: Callable[[ExecutionResult], Outcome] = outcome,
) -> ExecutionResult:
    """Execute an operation both ways, check that these parts of the results are equal, and return one."""

    async def run_both() -> tuple[ExecutionResult, ExecutionResult]:
        return (
            await execute_with_plan(schema, text, context(), **variables),
            await execute_with_core(schema, text, context(), **variables),
        )

    ours, expected = asyncio.run(run_both())
    assert parts(ours) == parts(expected), f"{text}\n{variables}"
    return ours
