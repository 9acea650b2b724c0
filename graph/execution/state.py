"""The state of an execution, as far as resolvers need it."""

from typing import Any

from graphql.execution.values import VariableValues


class ExecutionState:
    """The root value, the context and the coerced variables of one execution."""

    __slots__ = ("context", "root", "variables")

    root: Any
    context: Any
    variables: VariableValues
