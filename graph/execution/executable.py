"""The entry point of execution: an operation with its plans."""

import inspect
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLSchema, OperationDefinitionNode, execute
from graphql.execution.values import VariableValues

from graph.ast_walk import fragments_of
from graph.execution.compiler import Compiler
from graph.execution.execution import Execution
from graph.execution.plan import Selection
from graph.execution.plannable import Unplannable, condition_variables
from graph.execution.resolvers import strawberry_schema
from graph.execution.variables import Variables

MAX_PLANS = 16
"""Number of plans to keep for an operation: one for each combination of values of its condition variables."""


class Executable:
    """An operation with its plans. A plan is compiled when it is first needed, and kept as long as the document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._document = document
        self._operation = operation
        self._fragments = fragments_of(document)
        self._variables = Variables(schema, operation)
        self._plans: dict[tuple[Any, ...], Selection | None] = {}
        self._conditions: tuple[str, ...] | None
        try:
            self._conditions = condition_variables(operation, self._fragments)
        except Unplannable:
            self._conditions = None

    async def execute(self, variables: dict[str, Any], context: Any, root: Any = None) -> ExecutionResult:
        """Execute the operation: by a plan, or by graphql-core if it has none."""
        if self._conditions is None:
            return await self._execute_with_core(variables, context, root)
        coerced = self._variables.coerce(variables)
        if isinstance(coerced, list):
            return ExecutionResult(None, coerced)
        plan = self._plan(self._conditions, coerced)
        if plan is None:
            return await self._execute_with_core(variables, context, root)
        execution = Execution(root, context, coerced)
        data = await execution.execute(plan)
        return ExecutionResult(data, execution.errors or None)

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

    async def _execute_with_core(self, variables: dict[str, Any], context: Any, root: Any) -> ExecutionResult:
        result = execute(
            self._schema,
            self._document,
            root,
            context,
            variables,
            self._operation.name.value if self._operation.name else None,
            executor_class=strawberry_schema(self._schema).execution_context_class,
        )
        return await result if inspect.isawaitable(result) else result
