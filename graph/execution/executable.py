"""The entry point of execution: an operation with its plans."""

import inspect
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    create_source_event_stream,
    execute,
    located_error,
    map_source_to_response_event,
)
from graphql.execution.values import VariableValues

from graph.ast_walk import fragments_of, selections
from graph.execution.compiler import Compiler
from graph.execution.execution import Execution
from graph.execution.plan import Selection
from graph.execution.plannable import Unplannable, condition_variables
from graph.execution.resolvers import strawberry_schema
from graph.execution.variables import Variables

MAX_PLANS = 4
"""Number of plans to keep for an operation: one for each combination of values of its condition variables."""


class Executable:
    """An operation with its plans. A plan is compiled when it is first needed, and kept as long as the document."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        *,
        hide_suggestions: bool = False,
    ) -> None:
        self._schema = schema
        self._document = document
        self._operation = operation
        self._operation_name = operation.name.value if operation.name else None
        self._fragments = fragments_of(document)
        self._variables = Variables(schema, operation, hide_suggestions=hide_suggestions)
        self._plans: dict[tuple[Any, ...], Selection | None] = {}
        self._conditions: tuple[str, ...] | None
        try:
            self._conditions = condition_variables(operation, self._fragments)
        except Unplannable:
            self._conditions = None

    def coerce(self, variables: dict[str, Any]) -> VariableValues | list[GraphQLError]:
        """Return the coerced variables, or the errors."""
        return self._variables.coerce(variables)

    async def execute(self, variables: VariableValues, context: Any) -> ExecutionResult:
        """Execute the operation: by a plan, or by graphql-core if it has none."""
        plan = None if self._conditions is None else self._plan(self._conditions, variables)
        if plan is None:
            return await self._execute_with_core(variables, context)
        execution = Execution(None, context, variables)
        data = await execution.execute(plan)
        return ExecutionResult(data, execution.errors or None)

    async def subscribe(self, variables: VariableValues, context: Any) -> AsyncGenerator[ExecutionResult, None]:
        """Yield the result of each event of a subscription, and an error as the last result if it fails."""
        executor = strawberry_schema(self._schema).execution_context_class.build(
            self._schema, self._document, None, context, _raw(variables), self._operation_name
        )
        if isinstance(executor, list):
            yield ExecutionResult(None, executor)
            return
        events = create_source_event_stream(executor)
        if inspect.isawaitable(events):
            events = await events
        if isinstance(events, ExecutionResult):
            yield events
            return
        results = map_source_to_response_event(executor, events)
        async with aclosing(results):
            try:
                async for result in results:
                    yield result
            except Exception as error:
                yield ExecutionResult(None, [self._located(error)])

    def _plan(self, conditions: tuple[str, ...], variables: VariableValues) -> Selection | None:
        values: tuple[Any, ...] = tuple([variables.coerced.get(name) for name in conditions])
        if values in self._plans:
            return self._plans[values]
        if not all(isinstance(value, bool) for value in values):
            return None  # a null condition is an error, which graphql-core reports
        if len(self._plans) >= MAX_PLANS:
            self._plans.pop(next(iter(self._plans)))
        plan = self._plans[values] = self._compile(dict(zip(conditions, values, strict=True)))
        return plan

    def _compile(self, conditions: dict[str, bool]) -> Selection | None:
        try:
            return Compiler(self._schema, self._operation, self._fragments, conditions).compile()
        except (Unplannable, RecursionError):
            return None

    def _located(self, error: Exception) -> GraphQLError:
        """Return an error of the only root field of a subscription."""
        nodes = selections(self._operation.selection_set, self._fragments, set())
        field = next(node for node in nodes if isinstance(node, FieldNode))
        return located_error(error, [field], [(field.alias or field.name).value])

    async def _execute_with_core(self, variables: VariableValues, context: Any) -> ExecutionResult:
        result = execute(
            self._schema,
            self._document,
            None,
            context,
            _raw(variables),
            self._operation_name,
            executor_class=strawberry_schema(self._schema).execution_context_class,
        )
        return await result if inspect.isawaitable(result) else result


def _raw(variables: VariableValues) -> dict[str, Any]:
    """Return the values that the client sent, which graphql-core coerces itself."""
    return {name: source.value for name, source in variables.sources.items() if source.value is not Undefined}
